"""A manifest that is judged in parts gives the result of the whole, in bounded memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aigc.core import files
from aigc.core.errors import DataError
from aigc.data import expectations, gate, manifest, parts, pictures
from aigc.data.config import GateConfig

COUNT = 300
THRESHOLDS = GateConfig(min_rows=50, min_classes=2, min_class_share=0.3, max_duplicates=0.05,
                        max_near_duplicates=0.0, near_duplicate_bits=16, min_std=1.0, min_ink=0.001,
                        max_ink=0.9, max_aspect=4.0, min_source_side=4, max_drift=0.25,
                        warn=["near_duplicates", "imbalance"])


def raw(folder: Path, **spoiled: tuple[int, Any]) -> Path:
    """What ingest leaves, in row groups of 30, with the given (row, value) of columns spoiled."""
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 1, 16, 16), dtype=np.uint8)
    images[200] = images[20]  # a copy of 20
    images[210] = images[30] ^ 1  # looks like 30
    labels = np.sort(np.arange(COUNT) % 3)
    with parts.writing(folder, COUNT, images.shape[1:]) as append:
        append(images)
    pictures.write_labels(folder, labels, ["a", "b", "c"])
    rows = np.arange(COUNT)
    table = pd.DataFrame({"index": rows, "source_index": rows, "path": [f"{row}.png" for row in rows],
                          "label": labels, "class_name": np.array(["a", "b", "c"])[labels],
                          "source_height": 16, "source_width": 16, "source_mode": "L", "aspect": 1.0,
                          **manifest.measure(images),
                          "split": np.array(["train", "holdout", "test"])[rows % 3]})
    for column, (row, value) in spoiled.items():
        table.loc[row, column] = value
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), folder / "manifest.parquet",
                   row_group_size=30)
    files.write_json(folder / "counts.json", {"found": COUNT})
    files.write_bytes(folder / "quarantine.csv", b"path,reason,stage\n")
    return folder


@pytest.mark.parametrize(("spoiled", "has_reference"), [
    ({}, True),
    ({"std": (130, 0.0), "aspect": (299, 20.0), "split": (7, "trian"), "class_name": (5, None)}, True),
    ({"sha256": (250, "ab" * 32), "label": (61, 1)}, False),
])
def test_parts_give_the_result_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            spoiled: dict[str, tuple[int, Any]], has_reference: bool) -> None:
    folder, reference = raw(tmp_path / "raw", **spoiled), tmp_path / "reference.parquet"
    if has_reference:
        pd.read_parquet(folder / "manifest.parquet").assign(source_height=20).to_parquet(reference)
    whole = gate.judge(folder, THRESHOLDS, tmp_path / "docs", reference)
    monkeypatch.setattr(gate, "ROWS", 130)
    in_parts = gate.judge(folder, THRESHOLDS, tmp_path / "docs of parts", reference)
    assert files.canonical_json(in_parts.verdict) == files.canonical_json(whole.verdict)
    assert len(in_parts.examples) < COUNT == len(whole.examples)
    assert (expectations.failures_table(in_parts.verdict, in_parts.examples)
            == expectations.failures_table(whole.verdict, whole.examples))
    pd.testing.assert_frame_equal(in_parts.computed, whole.computed)
    failed = {result["column"] for result in whole.verdict["results"] if not result["success"]}
    assert {*spoiled} & {"std", "aspect", "split", "class_name"} <= failed
    assert "looks_like" in failed and ("drift_source_height" in failed) == has_reference
    pages = {path.name for path in (tmp_path / "docs of parts/expectations").iterdir()}
    assert {"all rows.html", "rows 0 to 119.html", "rows 240 to 299.html"} <= pages


def test_too_many_copies_in_all_are_too_many_in_parts(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = raw(tmp_path / "raw")
    monkeypatch.setattr(gate, "ROWS", 150)
    strict = THRESHOLDS.model_copy(update={"max_duplicates": 0.0})
    verdict, _, examples = gate.judge(folder, strict, tmp_path / "docs", tmp_path / "none")
    failed, = (result for result in verdict["results"] if result["name"] == "duplicates")
    assert (failed["example_rows"], failed["partners"]) == ([200], [20])
    assert "path=200.png" in expectations.failures_table(verdict, examples)


@pytest.mark.parametrize("rows", [70, COUNT])
def test_what_is_wrong_with_the_manifest_is_one_line(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(gate, "ROWS", rows)
    folder = raw(tmp_path / "raw")
    place = folder / "manifest.parquet"
    content = place.read_bytes()
    for damaged, reason in ((content[:-50], "not a whole Parquet file"), (b"", "not a whole Parquet file"),
                            (content[:4] + bytes(9000) + content[9004:], "not a whole Parquet file")):
        place.write_bytes(damaged)
        with pytest.raises(DataError, match=reason) as caught:
            gate.judge(folder, THRESHOLDS, tmp_path / "docs", tmp_path / "none")
        assert "\n" not in str(caught.value) and str(place) in str(caught.value)
    pd.read_parquet(raw(folder) / "manifest.parquet").drop(columns="phash").to_parquet(place)
    with pytest.raises(DataError, match="column phash is missing; delete data/raw"):
        gate.judge(folder, THRESHOLDS, tmp_path / "docs", tmp_path / "none")


def test_a_sha256_that_is_none_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "ROWS", 70)
    with pytest.raises(DataError, match=r"manifest\.parquet: a sha256 that is none; delete data/raw"):
        gate.judge(raw(tmp_path / "raw", sha256=(250, "words")), THRESHOLDS, tmp_path / "docs",
                   tmp_path / "none")
