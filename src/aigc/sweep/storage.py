"""Optuna's database of sweeps: one line of error where it does not answer at the start, patience afterwards.

SQLite below .checkpoints serves one worker on one machine; PostgreSQL serves any number of them anywhere.
"""

import copy
import functools
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from aigc.core import process
from aigc.core.errors import ConfigError, StorageError
from aigc.workspace.paths import SWEEPS

STORAGE = "AIGC_SWEEP_STORAGE"  # environment variable: as --storage, and no password on a command line
HEARTBEAT = "AIGC_SWEEP_HEARTBEAT"  # environment variable: seconds between heartbeats
HEARTBEAT_SECONDS, MISSED = 15, 8  # a trial whose worker was silent for this many heartbeats is run again
INDEX = "index"  # attribute of a trial: its number in the sweep
PATIENCE = 900.0  # seconds for which a sweep waits for a database that went away
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds between two tries; each failure doubles it
CONNECT_SECONDS = 5
LOCK_KEY = 0x61696763  # of PostgreSQL's advisory lock: "aigc"
# What Optuna asks of its storage in a sweep.
ASKED = ("create_new_study", "set_study_user_attr", "set_study_system_attr", "get_study_id_from_name",
         "get_study_name_from_id", "get_study_directions", "get_study_user_attrs", "get_study_system_attrs",
         "get_all_studies", "create_new_trial", "_create_new_trial", "set_trial_param", "_set_trial_param",
         "set_trial_state_values", "set_trial_intermediate_value", "set_trial_user_attr",
         "set_trial_system_attr", "get_trial_id_from_study_id_trial_number", "get_trial", "get_all_trials",
         "_get_trials", "record_heartbeat", "_get_stale_trial_ids")

warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # what is wrong is one line of ours


def requeue(study: Study, trial: FrozenTrial) -> None:
    """Queue a trial again with the same number and settings, without what its worker noted."""
    if INDEX in trial.user_attrs:
        again = copy.deepcopy(trial)
        again.user_attrs = {INDEX: trial.user_attrs[INDEX]}
        RetryHeartbeatStaleTrialCallback()(study, again)


def is_away(error: BaseException) -> bool:
    """Whether an error of the database may be over soon: no connection, a shutdown, a lock, a full disk."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return is_away(error.__cause__)
    return isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated)


def _patient(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, which waits while the database is away. Raises StorageError after PATIENCE seconds."""

    @functools.wraps(call)
    def patient(self: "PatientStorage", *arguments: Any, **options: Any) -> Any:
        deadline, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        while True:
            try:
                answer = call(self, *arguments, **options)
            except (SQLAlchemyError, StorageInternalError) as error:
                if not is_away(error):
                    raise
                if time.monotonic() > deadline:
                    raise StorageError(f"the database {self.shown} is away for {PATIENCE:.0f} s "
                                       f"({reason(error)}); trials that ended are kept, so start "
                                       "the same sweep again") from None
                self.say_away(error)
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self.say_back()
                return answer

    return patient


class PatientStorage(RDBStorage):
    """Optuna's storage in a database that may go away for a while. shown: its address without a password."""

    def __init__(self, url: URL, heartbeat: int) -> None:
        self.shown = url.render_as_string(hide_password=True)
        self.is_away = False
        options = {"connect_timeout": CONNECT_SECONDS} if url.get_backend_name() == "postgresql" else {}
        super().__init__(
            url.render_as_string(hide_password=False),
            engine_kwargs={"pool_pre_ping": True, "connect_args": options},
            heartbeat_interval=heartbeat, grace_period=MISSED * heartbeat,
            heartbeat_stale_trial_callback=requeue)

    def say_away(self, error: Exception) -> None:
        if not self.is_away:
            self.is_away = True
            print(f"warning: the database {self.shown} does not answer ({reason(error)}); what runs goes on, "
                  "and the sweep waits", file=sys.stderr, flush=True)

    def say_back(self) -> None:
        if self.is_away:
            self.is_away = False
            print("the database answers again", file=sys.stderr, flush=True)


for _name in ASKED:
    setattr(PatientStorage, _name, _patient(getattr(RDBStorage, _name)))


def reason(error: BaseException) -> str:
    """Why a database refuses, in one line of its own words; they hold no password."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return reason(error.__cause__)
    text = str(getattr(error, "orig", None) or error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:200]


def address(given: str | None) -> URL:
    """The database: as given, as the environment says, or the SQLite file of this project.

    Raises ConfigError where it is no URL.
    """
    text = given or os.environ.get(STORAGE) or f"sqlite:///{SWEEPS / 'sweeps.db'}"
    try:
        url = make_url(text)
        url.get_dialect()
    except (ArgumentError, ValueError, SQLAlchemyError, ImportError):  # their text may quote a password
        raise ConfigError("--storage: not the URL of a database that SQLAlchemy knows, such as "
                          "postgresql://user@host/database; quote special characters of a password") from None
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        return url.set(database=str(Path(url.database or "").absolute()))
    return url


def is_for_one_worker(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


@contextmanager
def opened(url: URL, writes: bool = False) -> Iterator[PatientStorage]:
    """The storage. writes: as a worker, of which SQLite has one at a time.

    Raises ConfigError where a driver is missing, StorageError where the database does not answer or is of
    another version, or has another worker.
    """
    with ExitStack() as held:
        if is_for_one_worker(url):
            database = Path(url.database or "")
            if not writes and not database.exists():
                raise StorageError(f"{database}: no sweep here yet; `aigc sweep SPACE.yaml` starts one, and "
                                   "--storage names another database")
            if writes:
                database.parent.mkdir(parents=True, exist_ok=True)
                lock = database.with_suffix(".lock")
                try:
                    held.enter_context(process.only_writer(lock, patience=0))
                except StorageError:
                    raise StorageError(f"{database}: another worker is at work ({lock} names its process), "
                                       "and SQLite takes one; --storage postgresql://… takes many") from None
        storage = _open(url)
        held.callback(storage.engine.dispose)
        yield storage


@contextmanager
def alone(url: URL) -> Iterator[None]:
    """No other worker is in such a block of this database. SQLite's lock is held by `opened`."""
    if url.get_backend_name() != "postgresql":
        yield
        return
    engine = sqlalchemy.create_engine(url, connect_args={"connect_timeout": CONNECT_SECONDS},
                                      poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:  # its end gives the lock back
        connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
        yield


def _open(url: URL) -> PatientStorage:
    text = os.environ.get(HEARTBEAT, str(HEARTBEAT_SECONDS))
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{HEARTBEAT}={text}: must be a number of seconds, 1 or more")
    shown = url.render_as_string(hide_password=True)
    try:
        with alone(url):  # two workers that make the tables would meet
            return PatientStorage(url, int(text))
    except ImportError:
        raise ConfigError(f"{shown}: its driver ({url.get_driver_name()}) is not installed; "
                          "pip install -e .[sweep] has that of postgresql://") from None
    except RuntimeError as error:  # Optuna's answer to the tables of another version of it
        raise StorageError(f"{shown}: its tables are of another version of Optuna ({reason(error)}); "
                           "name another database, or `optuna storage upgrade` it") from None
    except (SQLAlchemyError, StorageInternalError) as error:
        raise StorageError(f"the database {shown} does not answer ({reason(error)}); check --storage, or "
                           f"{STORAGE}") from None
