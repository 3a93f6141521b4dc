"""Each expectation can fail, and then says which rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aigc.data import expectations, manifest
from aigc.data.config import GateConfig

THRESHOLDS = GateConfig(
    min_rows=50,
    min_classes=2,
    min_class_share=0.05,
    max_duplicates=0.05,
    max_near_duplicates=0.02,
    near_duplicate_bits=16,
    min_std=1.0,
    min_ink=0.001,
    max_ink=0.9,
    max_aspect=4.0,
    min_source_side=4,
    max_drift=0.25,
    warn=["near_duplicates", "imbalance"],
)


def table_of(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = np.arange(100)
    return pd.DataFrame(
        {
            "index": rows,
            "source_index": rows,
            "path": "",
            "label": rows % 2,
            "class_name": np.array(["a", "b"])[rows % 2],
            "source_height": 16,
            "source_width": 16,
            "source_mode": "L",
            "aspect": 1.0,
            **manifest.measure(rng.integers(0, 256, (100, 1, 16, 16), dtype=np.uint8)),
            "split": np.array(["train", "holdout", "test"])[rows % 3],
        }
    )


def judge(
    table: pd.DataFrame,
    folder: Path,
    disagrees: np.ndarray | None = None,
    reference: pd.DataFrame | None = None,
) -> dict[str, Any]:
    disagrees = np.zeros(len(table), bool) if disagrees is None else disagrees
    full = expectations.computed_columns(table, disagrees, THRESHOLDS, reference)
    drifts = [column for column in full if column.startswith("drift_")]
    return expectations.judge(full, expectations.suite(THRESHOLDS, 2, (1, 16, 16), drifts), folder)


def test_good_data_passes_and_the_result_is_the_same_bytes_twice(tmp_path: Path) -> None:
    first, second = judge(table_of(), tmp_path / "docs"), judge(table_of(), tmp_path / "docs2")
    assert first["success"] is True
    assert first == second
    assert (tmp_path / "docs" / "index.html").exists()


SPOILED = {
    "aspect": 20.0,
    "source_width": 2,
    "std": 0.0,
    "ink_fraction": 0.99,
    "height": 9,
    "mode": "RGB",
    "label": 7,
    "maximum": 256,
    "split": "trian",
}


def test_each_kind_of_fault_is_caught_with_its_row(tmp_path: Path) -> None:
    table = table_of()
    for row, (column, value) in enumerate(SPOILED.items(), start=10):
        table.loc[row, column] = value
    table.loc[1, "sha256"] = table.loc[0, "sha256"]  # one picture in two splits
    verdict = judge(table, tmp_path)
    failed = {result["column"]: result for result in verdict["results"] if not result["success"]}
    text = expectations.failures_table(verdict, table)
    failed["source_width"] = failed["source_side"]
    for row, column in enumerate(SPOILED, start=10):
        assert failed[column]["example_rows"] == [row], column
        assert column.replace("source_width", "source_side") in text and f"index={row} " in text
    assert failed["splits_of_image"]["example_rows"] == [0, 1]
    assert failed["labels_of_image"]["example_rows"] == [0, 1]


def test_copies_over_the_limit_fail_and_each_is_shown_beside_the_first(tmp_path: Path) -> None:
    table = table_of()
    table.loc[list(range(60, 66)), ["sha256", "split"]] = table.loc[[3] * 6, ["sha256", "split"]].to_numpy()
    failed, = (result for result in judge(table, tmp_path)["results"] if result["name"] == "duplicates")
    assert not failed["success"] and failed["severity"] == "critical" and failed["unexpected_count"] == 6
    assert failed["example_rows"] == list(range(60, 66)) and failed["partners"] == [3] * 6
    table = table_of()
    table.loc[61, ["sha256", "split"]] = table.loc[3, ["sha256", "split"]].to_numpy()
    assert judge(table, tmp_path)["success"] is True


def test_disagreement_with_the_arrays_is_caught(tmp_path: Path) -> None:
    verdict = judge(table_of(), tmp_path, np.arange(100) == 41)
    failed = [result for result in verdict["results"] if not result["success"]]
    assert [(result["column"], result["example_rows"]) for result in failed] == [("agrees_with_arrays", [41])]


@pytest.mark.parametrize("rows", [40])
def test_too_few_rows_are_caught(tmp_path: Path, rows: int) -> None:
    assert judge(table_of().head(rows), tmp_path)["success"] is False


def test_look_alikes_and_a_rare_class_warn_and_let_the_data_through(tmp_path: Path) -> None:
    table = table_of()
    table.loc[90:, "phash"] = [f"{'5a' * 30}{row:04x}" for row in range(10)]
    table["label"] = (np.arange(100) < 3).astype(np.int64)
    verdict = judge(table, tmp_path)
    warned = {result["name"]: result for result in expectations.failed(verdict["results"], "warning")}
    assert verdict["success"] is True and set(warned) == {"near_duplicates", "imbalance"}
    assert warned["near_duplicates"]["example_rows"] == list(range(90, 98))
    assert all(partner >= 90 for partner in warned["near_duplicates"]["partners"])
    assert "WARNING  near_duplicates" in expectations.failures_table(verdict, expectations.computed_columns(
        table, np.zeros(100, bool), THRESHOLDS))
    assert "near_duplicates" not in {
        result["name"] for result in judge(table_of(), tmp_path)["results"] if not result["success"]
    }


def test_drift_against_an_earlier_manifest_names_the_column(tmp_path: Path) -> None:
    assert judge(table_of(1), tmp_path, reference=table_of(1))["success"] is True
    moved = table_of(1).assign(source_height=90)
    failed = [
        result["column"]
        for result in judge(moved, tmp_path, reference=table_of(1))["results"]
        if not result["success"]
    ]
    assert failed == ["drift_source_height"]
    shifted = table_of(1).assign(label=(np.arange(100) % 10 == 0).astype(np.int64))
    shifted["class_name"] = np.array(["a", "b"])[shifted["label"]]
    failed = [result["column"] for result in judge(shifted, tmp_path, reference=table_of(1))["results"]
              if not result["success"] and result["severity"] == "critical"]
    assert failed == ["drift_class_name"]
