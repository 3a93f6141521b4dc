"""validate: the gate. What the arrays say is measured again before the manifest is judged."""

import sys

import pandas as pd

from aigc.core import config, files, paths
from aigc.core.errors import DataError, GateError
from aigc.data import expectations, manifest, pictures


def run() -> None:
    chosen = config.section("validate", config.Validate)
    found = pictures.open_folder(paths.RAW)
    table = pd.read_parquet(paths.RAW / "manifest.parquet")
    missing = {*expectations.TYPES} - {*table.columns}
    if missing:
        raise DataError(f"{paths.RAW / 'manifest.parquet'}: column {', '.join(sorted(missing))} is missing; "
                        "delete data/raw and run `dvc repro`")
    if len(table) != len(found):
        raise DataError(f"{paths.RAW}: images.npy holds {len(found)} pictures, manifest.parquet {len(table)} rows; "
                        "delete data/raw and run `dvc repro`")
    table = expectations.computed_columns(table, manifest.disagreements(table, found))
    verdict = expectations.judge(table, expectations.suite(chosen, len(found.classes), found.images.shape[1:]),
                                 paths.DATA_DOCS)
    files.write_json(paths.VALIDATION, verdict)
    failed = sum(not result["success"] for result in verdict["results"])
    if failed:
        print(expectations.failures_table(verdict, table), file=sys.stderr)
        raise GateError(f"{failed} of {len(verdict['results'])} expectations failed on {paths.RAW}; "
                        f"see {paths.DATA_DOCS / 'index.html'}, then mend the data or the thresholds under `validate`")
