"""Each expectation can fail, and then says which rows."""

from collections.abc import Callable
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


def set_row(column: str, value: object, row: int = 5) -> Callable[[pd.DataFrame], None]:
    def spoil(table: pd.DataFrame) -> None:
        table.loc[row, column] = value

    return spoil


def leak(table: pd.DataFrame) -> None:
    table.loc[1, "sha256"] = table.loc[0, "sha256"]


def test_good_data_passes_and_the_result_is_the_same_bytes_twice(tmp_path: Path) -> None:
    first, second = judge(table_of(), tmp_path / "docs"), judge(table_of(), tmp_path / "docs2")
    assert first["success"] is True
    assert first == second
    assert (tmp_path / "docs" / "index.html").exists()


SPOILED = [
    (set_row("std", 0.0), "std"), (set_row("ink_fraction", 0.99), "ink_fraction"), (set_row("height", 9), "height"),
    (set_row("mode", "RGB"), "mode"), (set_row("label", 7), "label"), (set_row("maximum", 256), "maximum"),
    (set_row("split", "trian"), "split"), (leak, "splits_of_image"),
]


def test_each_kind_of_fault_is_caught_with_its_rows(tmp_path: Path) -> None:
    for number, (spoil, column) in enumerate(SPOILED):
        table = table_of()
        spoil(table)
        verdict = judge(table, tmp_path / str(number))
        failed = {result["column"]: result for result in verdict["results"] if not result["success"]}  # type: ignore[attr-defined]
        assert column in failed, f"{column} was not caught"
        assert failed[column]["example_rows"] in ([5], [0, 1])
        text = expectations.failures_table(verdict, table)
        assert column in text and "index=" in text


def test_disagreement_with_the_arrays_is_caught(tmp_path: Path) -> None:
    verdict = judge(table_of(), tmp_path, np.arange(100) == 41)
    failed = [result for result in verdict["results"] if not result["success"]]  # type: ignore[attr-defined]
    assert [(result["column"], result["example_rows"]) for result in failed] == [("agrees_with_arrays", [41])]


@pytest.mark.parametrize("rows", [40])
def test_too_few_rows_are_caught(tmp_path: Path, rows: int) -> None:
    assert judge(table_of().head(rows), tmp_path)["success"] is False
