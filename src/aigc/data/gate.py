"""Judges one folder of ingested pictures. Measures the arrays anew before it trusts the manifest.

A manifest of more than ROWS rows is read and judged in parts: what holds row by row, over each part; counts
and shares, over the few columns of the whole that they need. The result is the same.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from aigc.core import files
from aigc.core.errors import DataError
from aigc.data import drift, expectations, manifest, pictures
from aigc.data.config import GateConfig

ROWS = 1 << 16  # of a part of the manifest: about 64 MiB
REMEDY = "delete data/raw and run `dvc repro`"
REFERENCE_REMEDY = "put the manifest.parquet of an ingest of this version there, or delete it"
HASH = 32  # bytes


class Judged(NamedTuple):
    """verdict: see expectations.judge. computed: the computed columns of all rows, with `index` and `label`.
    examples: the rows that the verdict names, at least, with all columns.
    """

    verdict: dict[str, Any]
    computed: pd.DataFrame
    examples: pd.DataFrame


def judge(folder: Path, validate: GateConfig, data_docs: Path, reference: Path) -> Judged:
    """Judge the pictures of a folder and write Data Docs.

    reference: the manifest of another version of the data; drift is judged where the file exists. Raises
    DataError when the parts of `folder` do not belong together.
    """
    found = pictures.open_folder(folder)
    table = Table(folder / "manifest.parquet", REMEDY)
    counts = files.read_json(folder / "counts.json")
    quarantined = len(pd.read_csv(folder / "quarantine.csv"))
    if len(table) != len(found) or counts["found"] != len(found) + quarantined:
        raise DataError(f"{folder}: {counts['found']} pictures were found; images.npy holds {len(found)}, "
                        f"manifest.parquet {len(table)} rows, quarantine.csv {quarantined}; {REMEDY}")
    earlier = Table(reference, REFERENCE_REMEDY) if reference.exists() else None
    narrow, disagrees = _narrow(table, found, earlier is not None)
    computed = expectations.computed_columns(
        narrow, disagrees, validate, earlier.columns(["class_name", *drift.MEASURES]) if earlier else None)
    computed = computed[["index", "label", *(name for name in computed if name not in expectations.TYPES)]]
    del narrow
    drifts = [column for column in computed if column.startswith("drift_")]
    suite = expectations.suite(validate, len(found.classes), found.images.shape[1:], drifts)
    if len(table.parts) == 1:
        whole = next(table.read()).assign(**_columns(computed))
        return Judged(expectations.judge(whole, suite, data_docs), computed, whole)
    return Judged(*_in_parts(table, computed, suite, data_docs))


def _in_parts(table: "Table", computed: pd.DataFrame, suite: list[Any],
              data_docs: Path) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    judge = expectations.Judge(data_docs)
    shared = [expectation for expectation in suite if expectations.of_the_whole(expectation)]
    row_by_row = [expectation for expectation in suite if not expectations.of_the_whole(expectation)]
    whole = judge.results(computed, shared, "all rows", lists_all=False)
    wanted = {row for result in whole for row in result["example_rows"]}
    results: list[dict[str, Any]] = []
    examples = []
    first = 0
    for part in table.read():
        full = part.assign(**_columns(computed.iloc[first:first + len(part)]))
        name = f"rows {first} to {first + len(part) - 1}"
        found = judge.results(full, row_by_row, name, lists_all=False)
        results = expectations.joined(results, found)
        examples.append(full[full["index"].isin(wanted.union(*(one["example_rows"] for one in found)))])
        first += len(part)
    ordered = expectations.by_column([*results, *whole], suite)
    return expectations.verdict(ordered, first), computed, pd.concat(examples)


def _columns(computed: pd.DataFrame) -> dict[str, np.ndarray]:
    return {name: computed[name].to_numpy() for name in computed if name not in expectations.TYPES}


def _narrow(table: "Table", found: pictures.Pictures, for_drift: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """What the computed columns need of the manifest, and which rows disagree with the arrays.

    In place of each sha256 a number, equal for equal ones: it takes a tenth of the memory.
    """
    kept = ["index", "label", "split", "phash", "source_height", "source_width"]
    kept = [*dict.fromkeys([*kept, *(["class_name", *drift.MEASURES] if for_drift else [])])]
    parts, codes, disagrees = [], [], []
    first = 0
    for part in table.read():
        disagrees.append(manifest.disagreements(part, found, first))
        if len(table.parts) == 1:
            return part, disagrees[0]
        parts.append(part[kept])
        codes.append(_codes(part["sha256"], table.place))
        first += len(part)
    _, number = np.unique(np.concatenate(codes), return_inverse=True)
    return pd.concat(parts, ignore_index=True).assign(sha256=number), np.concatenate(disagrees)


def _codes(column: pd.Series, place: Path) -> np.ndarray:
    try:
        codes = np.frombuffer(bytes.fromhex("".join(column)), f"S{HASH}")
    except (TypeError, ValueError):
        codes = np.empty(0, f"S{HASH}")
    if len(codes) != len(column):
        raise DataError(f"{place}: a sha256 that is none; {REMEDY}")
    return codes


class Table:
    """A manifest on disk. parts: the row groups of each part that is read at once."""

    def __init__(self, place: Path, remedy: str) -> None:
        self.place, self.remedy = place, remedy
        file = self._opened()
        missing = {*expectations.TYPES} - {*file.schema_arrow.names}
        if missing:
            raise DataError(f"{place}: column {', '.join(sorted(missing))} is missing; {remedy}")
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        self.rows = file.metadata.num_rows
        numbers = (np.cumsum(sizes) - 1) // ROWS if len(sizes) else np.empty(0, np.int64)
        self.parts = [np.flatnonzero(numbers == number).tolist() for number in np.unique(numbers)] or [[]]

    def __len__(self) -> int:
        return self.rows

    def read(self) -> Iterator[pd.DataFrame]:
        """The rows, part by part; each part's own index starts at 0."""
        for groups in self.parts:
            yield self._read(groups, None)

    def columns(self, names: list[str]) -> pd.DataFrame:
        """Some columns of all rows."""
        return self._read([group for part in self.parts for group in part], names)

    def _read(self, groups: list[int], names: list[str] | None) -> pd.DataFrame:
        try:
            return self._opened().read_row_groups(groups, columns=names).to_pandas()
        except (OSError, ValueError) as error:
            raise self._damaged(error) from None

    def _opened(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.place)
        except (OSError, ValueError) as error:  # Arrow's are ValueErrors
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> DataError:
        reason = " ".join(str(error).split())
        return DataError(f"{self.place}: not a whole Parquet file ({reason}); {self.remedy}")
