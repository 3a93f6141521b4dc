"""A source streamed to disk: nothing lost, the same bytes however many processes decode."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from aigc.core import files
from aigc.core.errors import DataError, GateError
from aigc.data import ingest, pictures, sources
from aigc.data.config import DataConfig, PreprocessConfig, SplitConfig

SHAPE = PreprocessConfig(size=16, channels=3, fit="crop", background=[255, 255, 255])


def data(place: Path, **changed: Any) -> DataConfig:
    known = DataConfig(
        source="folder",
        path=str(place),
        table="labels.csv",
        path_column="path",
        label_column="label",
        max_quarantined=0.5,
        licence="",
        attribution="",
        url="",
        split=SplitConfig(seed=0, holdout=0.2, test=0.2),
    )
    return known.model_copy(update=changed)


def fill(root: Path, count: int) -> Path:
    """`count` pictures of several sizes and modes in two classes, of which every twentieth is damaged."""
    rng = np.random.default_rng(count)
    for number in range(count):
        place = root / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        height, width, channels = rng.integers(8, 40), rng.integers(8, 40), (3, 4)[number % 2]
        Image.fromarray(rng.integers(0, 256, (height, width, channels), dtype=np.uint8)).save(place)
        if number % 20 == 0:
            place.write_bytes(place.read_bytes()[:40])
    return root


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_found_is_used_plus_quarantined_and_each_has_its_row(tmp_path: Path) -> None:
    counts = ingest.ingest(data(fill(tmp_path / "in", 100)), SHAPE, 1, tmp_path / "out")
    table, quarantine = (
        pd.read_parquet(tmp_path / "out/manifest.parquet"),
        pd.read_csv(tmp_path / "out/quarantine.csv"),
    )
    assert (counts.found, counts.used, counts.quarantined) == (100, 95, 5)
    assert len(table) == 95 and sorted([*table["path"], *quarantine["path"]]) == sorted(
        f"{'ab'[n % 2]}/{n}.png" for n in range(100)
    )
    found = pictures.open_folder(tmp_path / "out")
    assert len(found) == 95 and found.classes == ["a", "b"]
    assert set(quarantine.columns) == {"path", "reason", "stage"} and set(quarantine["stage"]) == {"decode"}
    for row in (0, 50, 94):
        with Image.open(tmp_path / "in" / table["path"][row]) as picture:
            assert (table["source_width"][row], table["source_height"][row]) == picture.size


def test_names_of_several_lines_are_rows_and_messages_of_one(tmp_path: Path) -> None:
    root = fill(tmp_path / "in", 10)
    for name in ("new\nline.png", "return\r.png", "escape\x1b[2J.png"):
        (root / "a" / name).write_bytes(b"words")
    with pytest.raises(GateError, match=r"the first a/0\.png") as caught:
        ingest.ingest(data(root, max_quarantined=0.1), SHAPE, 1, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert pd.read_csv(tmp_path / "out/quarantine.csv")["path"].tolist() == [
        "a/0.png", "a/escape\\x1b[2J.png", "a/new\\nline.png", "a/return\\r.png"]
    (root / "empty\nclass").mkdir()
    with pytest.raises(DataError, match=r"empty\\nclass: no picture") as caught:
        ingest.ingest(data(root), SHAPE, 1, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_wrong_suffix_is_no_fault_where_the_content_is_a_picture(tmp_path: Path) -> None:
    root = fill(tmp_path / "in", 4)
    Image.new("RGB", (20, 20)).save(root / "a" / "photo.png", "JPEG")
    (root / "a" / "words.png").write_text("words")
    counts = ingest.ingest(data(root, max_quarantined=0.5), SHAPE, 1, tmp_path / "out")
    assert (
        "a/photo.png" in set(pd.read_parquet(tmp_path / "out/manifest.parquet")["path"])
        and counts.quarantined == 2
    )
    reasons = dict(pd.read_csv(tmp_path / "out/quarantine.csv")[["path", "reason"]].to_numpy().tolist())
    assert reasons["a/words.png"].startswith("no PNG, JPEG")


def test_one_process_and_three_write_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "in", 300)
    monkeypatch.setattr(sources, "FEW", 10)
    ingest.ingest(data(tmp_path / "in"), SHAPE, 1, tmp_path / "one")
    ingest.ingest(data(tmp_path / "in"), SHAPE, 3, tmp_path / "three")
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


def test_too_large_a_quarantine_stops_and_leaves_its_table(tmp_path: Path) -> None:
    with pytest.raises(
        GateError,
        match=r"5 of 100 pictures \(5\.0%\) .* over data\.max_quarantined \(1\.0%\), the first a/0\.png",
    ):
        ingest.ingest(data(fill(tmp_path / "in", 100), max_quarantined=0.01), SHAPE, 1, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out/quarantine.csv")) == 5
    assert not (tmp_path / "out/manifest.parquet").exists()


def test_nothing_usable_and_a_class_with_nothing_usable_stop(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "1.png").write_text("words")
    with pytest.raises(DataError, match="none of 2 pictures can be used, the first a/1.png: no PNG"):
        ingest.ingest(data(tmp_path / "in"), SHAPE, 1, tmp_path / "out")
    Image.new("RGB", (9, 9)).save(tmp_path / "in/b/2.png")
    with pytest.raises(DataError, match="no picture of class a can be used"):
        ingest.ingest(data(tmp_path / "in", max_quarantined=0.9), SHAPE, 1, tmp_path / "out")


def test_a_class_whose_rows_of_a_table_cannot_be_used_stops(tmp_path: Path) -> None:
    root = fill(tmp_path / "in", 30)
    (root / "a" / "words.png").write_text("words")
    rows = [f"{'ab'[number % 2]}/{number}.png,{'ab'[number % 2]}" for number in range(1, 20)]
    (root / "labels.csv").write_text("\n".join(["path,label", *rows, "a/words.png,c"]) + "\n")
    with pytest.raises(DataError, match=r"no picture of class c can be used, the first a/words\.png: no PNG"):
        ingest.ingest(data(root, source="csv"), SHAPE, 1, tmp_path / "out")


def test_a_licence_said_in_params_is_kept_and_a_known_one_is_known(tmp_path: Path) -> None:
    ingest.ingest(data(fill(tmp_path / "in", 20), licence="CC0", url="here"), SHAPE, 1, tmp_path / "out")
    said = {"source": "folder", "licence": "CC0", "attribution": "", "url": "here"}
    assert pictures.read_origin(tmp_path / "out") == said
    assert json.loads(pq.read_schema(tmp_path / "out/manifest.parquet").metadata[b"origin"]) == said
    assert sources.origin(data(tmp_path, source="fashion-mnist"))["licence"] == "MIT"
    assert sources.origin(data(tmp_path))["licence"] == ""


def test_the_digits_come_through_as_they_are(tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    counts = ingest.ingest(data(tmp_path, source="digits"), SHAPE, 1, tmp_path / "out")
    found = pictures.open_folder(tmp_path / "out")
    np.testing.assert_array_equal(found.images, digits[0])
    np.testing.assert_array_equal(found.labels, digits[1])
    assert counts.found == counts.used == 5000


def test_rows_of_an_unknown_number_make_the_file_that_a_known_number_makes(tmp_path: Path) -> None:
    array = np.arange(36, dtype=np.uint8).reshape(12, 3)
    np.save(tmp_path / "by_numpy.npy", array)
    with files.npy_rows(tmp_path / "streamed.npy", (None, 3), np.uint8) as append:
        append(array[:5])
        append(array[5:])
    assert (tmp_path / "streamed.npy").read_bytes() == (tmp_path / "by_numpy.npy").read_bytes()
