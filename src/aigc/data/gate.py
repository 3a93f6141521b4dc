"""One folder of ingested pictures, judged. The arrays are measured again before the manifest is believed."""

from pathlib import Path
from typing import Any

import pandas as pd

from aigc.core import files
from aigc.core.errors import DataError
from aigc.data import expectations, manifest, pictures
from aigc.data.config import GateConfig

REMEDY = "delete data/raw and run `dvc repro`"
REFERENCE_REMEDY = "put the manifest.parquet of an ingest of this version there, or delete it"


def judge(folder: Path, chosen: GateConfig, data_docs: Path, reference: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """The verdict (see expectations.judge) and the table that was judged.

    reference: the manifest of another version of the data; drift is judged where it exists. Raises DataError when the parts of `folder`
    do not belong together.
    """
    found = pictures.open_folder(folder)
    table = _read(folder / "manifest.parquet", REMEDY)
    counts = files.read_json(folder / "counts.json")
    quarantined = len(pd.read_csv(folder / "quarantine.csv"))
    if len(table) != len(found) or counts["found"] != len(found) + quarantined:
        raise DataError(f"{folder}: {counts['found']} pictures were found; images.npy holds {len(found)}, manifest.parquet "
                        f"{len(table)} rows, quarantine.csv {quarantined}; {REMEDY}")
    earlier = _read(reference, REFERENCE_REMEDY) if reference.exists() else None
    table = expectations.computed_columns(table, manifest.disagreements(table, found), chosen, earlier)
    drifts = [column for column in table if column.startswith("drift_")]
    suite = expectations.suite(chosen, len(found.classes), found.images.shape[1:], drifts)
    return expectations.judge(table, suite, data_docs), table


def _read(place: Path, remedy: str) -> pd.DataFrame:
    try:
        table = pd.read_parquet(place)
    except (OSError, ValueError) as error:  # Arrow's are ValueErrors
        raise DataError(f"{place}: not a whole Parquet file ({' '.join(str(error).split())}); {remedy}") from None
    missing = {*expectations.TYPES} - {*table.columns}
    if missing:
        raise DataError(f"{place}: column {', '.join(sorted(missing))} is missing; {remedy}")
    return table
