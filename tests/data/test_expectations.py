"""Each expectation can fail, and then says which rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aigc.core import config
from aigc.data import expectations, manifest, pictures

THRESHOLDS = config.Validate(min_rows=50, min_classes=2, min_class_share=0.05, max_duplicates=0.05, min_std=1.0, min_ink=0.001, max_ink=0.9)


def table_of(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    found = pictures.Pictures(rng.integers(0, 256, (100, 1, 8, 8), dtype=np.uint8), np.arange(100) % 2, ["a", "b"])
    table = manifest.describe(found)
    table["split"] = np.array(["train", "holdout", "test"])[np.arange(100) % 3]
    return table


def judge(table: pd.DataFrame, folder: Path, disagrees: np.ndarray | None = None) -> dict[str, object]:
    disagrees = np.zeros(len(table), bool) if disagrees is None else disagrees
    full = expectations.computed_columns(table, disagrees)
    return expectations.judge(full, expectations.suite(THRESHOLDS, 2, (1, 8, 8)), folder)


def test_good_data_passes_and_the_result_is_the_same_bytes_twice(tmp_path: Path) -> None:
    first, second = judge(table_of(), tmp_path / "docs"), judge(table_of(), tmp_path / "docs2")
    assert first["success"] is True
    assert first == second
    assert (tmp_path / "docs" / "index.html").exists()


SPOILED = {"std": 0.0, "ink_fraction": 0.99, "height": 9, "mode": "RGB", "label": 7, "maximum": 256, "split": "trian"}


def test_each_kind_of_fault_is_caught_with_its_row(tmp_path: Path) -> None:
    table = table_of()
    for row, (column, value) in enumerate(SPOILED.items(), start=10):
        table.loc[row, column] = value
    table.loc[1, "sha256"] = table.loc[0, "sha256"]  # one picture in two splits
    verdict = judge(table, tmp_path)
    failed = {result["column"]: result for result in verdict["results"] if not result["success"]}
    text = expectations.failures_table(verdict, table)
    for row, column in enumerate(SPOILED, start=10):
        assert failed[column]["example_rows"] == [row], column
        assert column in text and f"index={row} " in text
    assert failed["splits_of_image"]["example_rows"] == [0, 1]


def test_disagreement_with_the_arrays_is_caught(tmp_path: Path) -> None:
    verdict = judge(table_of(), tmp_path, np.arange(100) == 41)
    failed = [result for result in verdict["results"] if not result["success"]]
    assert [(result["column"], result["example_rows"]) for result in failed] == [("agrees_with_arrays", [41])]


@pytest.mark.parametrize("rows", [40])
def test_too_few_rows_are_caught(tmp_path: Path, rows: int) -> None:
    assert judge(table_of().head(rows), tmp_path)["success"] is False
