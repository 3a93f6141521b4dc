"""Judges one folder of ingested pictures. Measures the arrays anew before it trusts the manifest."""

from pathlib import Path
from typing import Any

import pandas as pd

from aigc.core import files
from aigc.core.errors import DataError
from aigc.data import expectations, manifest, pictures
from aigc.data.config import GateConfig

REMEDY = "delete data/raw and run `dvc repro`"
REFERENCE_REMEDY = "put the manifest.parquet of an ingest of this version there, or delete it"


def judge(folder: Path, validate: GateConfig, data_docs: Path,
          reference: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """The verdict (see expectations.judge) and the table that was judged.

    reference: the manifest of another version of the data; drift is judged where the file exists. Raises
    DataError when the parts of `folder` do not belong together.
    """
    found = pictures.open_folder(folder)
    table = _read(folder / "manifest.parquet", REMEDY)
    counts = files.read_json(folder / "counts.json")
    quarantined = len(pd.read_csv(folder / "quarantine.csv"))
    if len(table) != len(found) or counts["found"] != len(found) + quarantined:
        raise DataError(f"{folder}: {counts['found']} pictures were found; images.npy holds {len(found)}, "
                        f"manifest.parquet {len(table)} rows, quarantine.csv {quarantined}; {REMEDY}")
    earlier = _read(reference, REFERENCE_REMEDY) if reference.exists() else None
    table = expectations.computed_columns(table, manifest.disagreements(table, found), validate, earlier)
    drifts = [column for column in table if column.startswith("drift_")]
    suite = expectations.suite(validate, len(found.classes), found.images.shape[1:], drifts)
    return expectations.judge(table, suite, data_docs), table


def _read(place: Path, remedy: str) -> pd.DataFrame:
    try:
        table = pd.read_parquet(place)
    except (OSError, ValueError) as error:  # Arrow's are ValueErrors
        reason = " ".join(str(error).split())
        raise DataError(f"{place}: not a whole Parquet file ({reason}); {remedy}") from None
    missing = {*expectations.TYPES} - {*table.columns}
    if missing:
        raise DataError(f"{place}: column {', '.join(sorted(missing))} is missing; {remedy}")
    return table
