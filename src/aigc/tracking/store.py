"""Where MLflow keeps runs: the address of the store, and how it is opened or made."""

import logging
import os
import re
import sqlite3
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

import mlflow
import requests
import sqlalchemy
from mlflow.entities import Experiment, LifecycleStage, Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from aigc.core import files, paths, process
from aigc.core.errors import AigcError
from aigc.tracking import FIRST_CALL, SET_BY_USER, views
from aigc.workspace.paths import SWEEPS

logging.getLogger("mlflow").setLevel(logging.WARNING)
# A failed call raises, and is shown as one line; these loggers would show a traceback or a line a retry
# before it.
for _name in ("mlflow.store.db.utils", "mlflow.system_metrics", "mlflow.utils.autologging_utils", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module="mlflow")

EXPERIMENT = "aigc"
TEMPORARY_CHECKOUTS = ("/.dvc/tmp/exps/", f"/{SWEEPS}/")  # of `dvc exp run --temp`; of the trials of a sweep
SQLITE = "sqlite:///"
LOCK_SECONDS = 3  # how long another program may hold SQLite's lock before the store counts as away
PAGE = 1000  # runs a request
# (pattern of what a database or a server says, what that means, the remedy)
ANSWERS = (
    ("out-of-date database schema", "is of another version of MLflow",
     "`mlflow db upgrade \"$MLFLOW_TRACKING_URI\"` raises an older one, after a backup"),
    ("password authentication failed", "refuses user and password", "check those of MLFLOW_TRACKING_URI"),
    ("not authenticated", "refuses user and password",
     "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    ("[Pp]ermission denied", "does not let this user read or write",
     "ask its owner for the rights, or use another user"),
    ('database ".*" does not exist', "is not there",
     "make the database (`createdb`), or check MLFLOW_TRACKING_URI"),
    ("No space left on device", "is full", "free space on its disk"),
)
CAUSED_BY = re.compile(r"\(Caused by \w+\((.*?)\)\)+$")
USER_AND_PASSWORD = re.compile(r"://[^\s/?#]*@")
QUERY_SECRET = re.compile(r"([?&][^=&\s]*(?:pass|pwd|token|secret)[^=&\s]*=)([^&\s]*)", re.IGNORECASE)


def home() -> Path:
    """The checkout whose store is used: this one, or the one that started this temporary checkout."""
    here = f"{Path.cwd()}/"
    for folder in TEMPORARY_CHECKOUTS:
        here = here.partition(folder)[0]
    return Path(here)


def store_uri() -> str:
    """MLFLOW_TRACKING_URI, or mlflow.db at home. A relative path of SQLite's starts at home."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    path = sqlite_path(uri)
    if path is None:
        return uri
    _, mark, query = uri.partition("?")
    return f"{sqlite_uri(path)}{mark}{query}"


def sqlite_path(uri: str) -> Path | None:
    """The absolute path of the database file that a URI names; None where it is a server's, or in memory."""
    database = unquote(uri.removeprefix(SQLITE).partition("?")[0])  # as SQLAlchemy reads it
    if not uri.startswith(SQLITE) or database in ("", ":memory:") or database.startswith("file:"):
        return None
    return home() / database


def is_shared() -> bool:
    """Whether other machines may write to the store: it is a server's."""
    return sqlite_path(store_uri()) is None


def sqlite_uri(path: Path) -> str:
    """The URI of a SQLite file.

    SQLAlchemy would read `?` and `%` in it as syntax. Where the path holds one, everything is quoted, slashes
    too: MLflow makes the folders that it sees in a URI before SQLAlchemy reads it, and so it sees none.
    """
    text = str(path)
    return f"{SQLITE}{quote(text, safe='') if set(text) & set('?%') else text}"


def artifact_root(uri: str) -> str | None:
    """mlruns/ beside a SQLite database, where `mlflow ui` looks; None for a server, which decides itself."""
    path = sqlite_path(uri)
    return (path.resolve().parent / "mlruns").as_uri() if path else None


def shown(text: object) -> str:
    """The first line of a text as a person may see it: without the passwords and tokens that belong to the
    store.

    Of the text of a failed request it is the innermost reason, such as `[Errno 111] Connection refused`.
    """
    line = (str(text).strip().splitlines() or ["no message"])[0]
    if match := CAUSED_BY.search(line):
        line = (
            match[1].strip("'\"").rpartition("): ")[2].removeprefix("Failed to establish a new connection: ")
        )
    line = QUERY_SECRET.sub(r"\1***", USER_AND_PASSWORD.sub("://***@", line))
    for secret in sorted(_secrets(), key=len, reverse=True):
        line = line.replace(secret, "***")
    return line


def _secrets() -> set[str]:
    """What must not be printed, as it stands in the environment and without its URL quoting."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    found = {os.environ.get("MLFLOW_TRACKING_PASSWORD", ""), os.environ.get("MLFLOW_TRACKING_TOKEN", "")}
    if match := re.match(r"[^:/]+://[^:/]*:(.*)@", uri):
        found.add(match[1])
    found |= {value for _, value in QUERY_SECRET.findall(uri)}
    return {form for secret in found for form in (secret, unquote(secret)) if len(form) > 2}


@contextmanager
def errors() -> Iterator[None]:
    """Turn an error of MLflow's, or of the database or server behind it, into one line. Also a decorator."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, requests.RequestException, ImportError) as error:
        raise AigcError(f"the MLflow store {shown(store_uri())} {_complaint(error)}") from cause(error)


def _complaint(error: Exception) -> str:
    """What is wrong with a store that raised `error`, and the remedy."""
    if isinstance(error, ModuleNotFoundError):
        is_postgresql = store_uri().startswith("postgres")
        remedy = ("`pip install -e .[team]`, and write postgresql+psycopg://" if is_postgresql
                  else f"pip install {error.name}")
        return f"needs the Python package {error.name}; {remedy}"
    return refusal(error) or (f"does not answer ({shown(error)}); check MLFLOW_TRACKING_URI, or unset it to "
                              "use mlflow.db")


def refusal(error: Exception) -> str:
    """What the store says no to, and the remedy, where its answer is a known one; else ""."""
    said = shown(error)
    return next((f"{complaint} ({said.partition('. Take a backup')[0]}); {remedy}"
                 for pattern, complaint, remedy in ANSWERS if re.search(pattern, said)), "")


def cause(error: Exception) -> Exception | None:
    """What --debug may show of an error: nothing where its text may hold the store's password."""
    return None if _secrets() or USER_AND_PASSWORD.search(store_uri()) else error


@errors()
def open_store(writes: bool = False) -> tuple[mlflow.MlflowClient, str]:
    """Connect to the store: (client, id of our experiment). Raises AigcError, within seconds, when it does
    not answer.

    writes: it must take writes too. Another program may hold a lock on SQLite under which it only answers
    questions.
    """
    uri = store_uri()
    mlflow.set_tracking_uri(uri)
    if USER_AND_PASSWORD.search(uri):
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = (
            "true"  # it prints the address of each run with the password
        )
    _check(uri, writes)
    with _short_patience():
        client, found = _experiment(uri)
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise AigcError(
            f"the MLflow store {shown(uri)} has its experiment `{EXPERIMENT}` among the deleted; "
            f"`MLFLOW_TRACKING_URI={shown(uri)} mlflow experiments restore -x {found.experiment_id}` "
            "brings it back"
        )
    return client, found.experiment_id


def _experiment(uri: str) -> tuple[mlflow.MlflowClient, Experiment]:
    """Our experiment, made where it is missing, under a lock: two processes that make it would race."""
    place = sqlite_path(uri)
    if place is None or place.exists():
        client = mlflow.MlflowClient(uri)
        if found := client.get_experiment_by_name(EXPERIMENT):
            return client, found
    with process.only_writer(home() / paths.CHECKPOINTS / "store.lock"):
        _make_database(uri)
        client = mlflow.MlflowClient(uri)
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            made = client.create_experiment(EXPERIMENT, artifact_location=artifact_root(uri),
                                            tags=views.experiment_tags())
            found = client.get_experiment(made)
        return client, found


def _check(uri: str, writes: bool) -> None:
    """Raise, within seconds, where a database does not answer: MLflow itself tries for minutes, in silence.
    """
    place = sqlite_path(uri)
    if place is not None:
        if place.exists():
            with closing(sqlite3.connect(place, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
                connection.execute("SELECT name FROM sqlite_master").fetchone()
                connection.execute("ROLLBACK")
    elif "://" in uri and not uri.startswith(("http://", "https://", "databricks", "sqlite", "file:")):
        try:
            engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
        except ValueError:  # it would quote the part behind a `:`, which may be one of the password
            raise AigcError(
                f"MLFLOW_TRACKING_URI is no URL ({shown(uri)}); quote special characters of the password"
            ) from None
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))


@contextmanager
def _short_patience() -> Iterator[None]:
    """The first call shows whether a server answers at all; the user's own limits are kept."""
    before = {name: os.environ[name] for name in FIRST_CALL if name not in SET_BY_USER}
    os.environ.update({name: FIRST_CALL[name] for name in before})
    try:
        yield
    finally:
        os.environ.update(before)


def _make_database(uri: str) -> None:
    """Make the SQLite file of `uri` where it is missing, whole: MLflow cannot go on with half its tables."""
    place = sqlite_path(uri)
    if place is not None and not place.exists():
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        with files.replacing(place) as unfinished:
            SqlAlchemyStore(sqlite_uri(unfinished.absolute()), artifact_root(uri)).engine.dispose()


def runs(client: mlflow.MlflowClient, experiment: str, condition: str,
         order: Sequence[str] = ()) -> list[Run]:
    """Every run that meets the condition, newest first unless `order` says otherwise, page by page."""
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], condition, max_results=PAGE, order_by=list(order) or None,
                                  page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def milliseconds() -> int:
    """Now, as MLflow counts time."""
    return int(time.time() * 1000)
