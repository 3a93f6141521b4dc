"""aigc relocate: MLflow's store on SQLite after its folder was moved.

Four columns and the MLmodel files hold absolute paths. The files are rewritten first and the database last,
in one
transaction, so that an interrupted move can be repeated.
"""

import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

from tqdm import tqdm

from aigc.core import files
from aigc.core.errors import StorageError

DATABASE, ARTIFACTS = "mlflow.db", "mlruns"
COLUMNS = (("experiments", "artifact_location"), ("runs", "artifact_uri"),
           ("logged_models", "artifact_location"), ("model_versions", "storage_location"))
# What comes before /mlruns in a local path or file URI. A server's own locations (s3://,
# mlflow-artifacts:/) do not move.
ROOT = re.compile(rf"^(?:file://)?(/.*)/{ARTIFACTS}(?=/|$)", re.DOTALL)


def run(folder: Path) -> int:
    """Make the store in `folder` name its own place; prints how much was changed."""
    here = folder.resolve()
    database = here / DATABASE
    for path in (database, here / ARTIFACTS):
        if not path.exists():
            raise StorageError(
                f"{path}: missing; bring {DATABASE} and {ARTIFACTS}/ together, then name their folder"
            )
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            moved = {
                value: new for value in _locations(connection) if (new := relocated(value, here)) != value
            }
            # mlruns/models/ID/artifacts/MLmodel, and those of older stores
            models = sorted((here / ARTIFACTS).rglob("MLmodel"))
            pages = sum(
                _mend(page, here)
                for page in tqdm(models, desc="relocate", unit="model", disable=None, file=sys.stderr)
            )
            rows = sum(
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, old)).rowcount
                for table, column in COLUMNS
                for old, new in moved.items()
            )
            connection.commit()
    except sqlite3.Error as error:
        raise StorageError(
            f"{database}: {error}; end the MLflow UI or server that uses it, "
            "and check that it is a store of MLflow's"
        ) from error
    before = sorted({match[1] for value in moved if (match := ROOT.match(_path(value)))})
    print(
        f"{here}: {rows} places and {pages} MLmodel files were under "
        f"{', '.join(before) or 'another folder'}, and are here now"
        if rows or pages
        else f"{here}: the store names this folder already"
    )
    return 0


def relocated(location: str, here: Path) -> str:
    """A path or file URI under some mlruns/, moved to `here`; unchanged if only the old place exists."""
    match = ROOT.match(location)
    if not match:
        return location
    is_uri, rest = location.startswith("file://"), location[match.end() :]
    new = f"{(here / ARTIFACTS).as_uri() if is_uri else here / ARTIFACTS}{rest}"
    return location if Path(_path(location)).exists() and not Path(_path(new)).exists() else new


def _path(location: str) -> str:
    return unquote(location.removeprefix("file://")) if location.startswith("file://") else location


def _locations(connection: sqlite3.Connection) -> set[str]:
    return {
        value
        for table, column in COLUMNS
        for (value,) in connection.execute(f"SELECT DISTINCT {column} FROM {table}")
        if value
    }


def _mend(page: Path, here: Path) -> bool:
    """Rewrite the line of an MLmodel file that names its own place; False where it was right.

    The file is YAML. A file URI is quoted already, and stands there as it is.
    """
    before = page.read_text(encoding="utf-8")
    after = re.sub(r"^artifact_path: (.*)$", lambda line: f"artifact_path: {relocated(line[1], here)}",
                   before, flags=re.MULTILINE)
    if after != before:
        files.write_bytes(page, after.encode())
    return after != before
