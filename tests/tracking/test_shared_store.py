"""A store that several machines share: what its database refuses is one line, and a training that was
brought to another machine goes on in the same run.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import psycopg
import pytest

from aigc.core.errors import AigcError
from aigc.tracking import store
from aigc.tracking.killed import (
    FINGERPRINT,
    HEARTBEAT,
    METHOD,
    SILENT_SECONDS,
    WRITER,
    Heart,
    close_abandoned,
    writer_tag,
)
from aigc.tracking.run import RECIPE, StoreWriter
from databases import PASSWORD, Database, postgresql

ELSEWHERE = "machine-0123456789abcdef:/there"
Store = tuple[mlflow.MlflowClient, str]


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """A cluster with the empty databases `runs` and `taken`, and a user `reader` who may only read."""
    with postgresql(Path(f"/tmp/aigc-pg-{time.monotonic_ns()}")) as made:
        with psycopg.connect(made.url, autocommit=True) as connection:
            for command in ("CREATE DATABASE runs", "CREATE DATABASE taken",
                            f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'"):
                connection.execute(command)
        yield made


def refused(monkeypatch: pytest.MonkeyPatch, folder: Path, uri: str) -> str:
    """The one line that says why this store cannot be used; it comes within 10 s."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    started = time.monotonic()
    with pytest.raises(AigcError) as caught:
        store.open_store(writes=True)
    line = str(caught.value)
    assert time.monotonic() - started < 10 and PASSWORD not in line and "\n" not in line
    return line


@pytest.mark.slow
@pytest.mark.parametrize("before, after, expected", [
    ("postgresql:", "postgresql+psycopg2:", ("needs the Python package psycopg2", "-e .[team]`, and write postgresql+psycopg://")),
    ("postgresql:", "mysql+pymysql:", ("needs the Python package pymysql", "; pip install pymysql")),
    (PASSWORD, "wr0ng-one", ("refuses user and password", "MLFLOW_TRACKING_URI")),
    ("/runs", "/nowhere", ("is not there", "createdb")),
    ("aigc:", "reader:", ("does not let this user read or write", "rights")),
])
def test_what_a_database_refuses_is_one_line_with_its_remedy(
        database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str,
        expected: tuple[str, str]) -> None:
    uri = database.url.removesuffix("/postgres") + "/runs"
    line = refused(monkeypatch, tmp_path, uri.replace(before, after, 1))
    assert all(part in line for part in expected), line
    assert "wr0ng-one" not in line


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["postgresql", "postgresql+psycopg"])
def test_a_database_is_a_store_and_one_of_another_version_is_told(
        database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    uri = (database.url.removesuffix("/postgres") + "/taken").replace("postgresql", driver, 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client, experiment = store.open_store(writes=True)
    assert client.get_experiment(experiment).name == store.EXPERIMENT and store.is_shared()
    with psycopg.connect(database.url.removesuffix("/postgres") + "/taken", autocommit=True) as connection:
        version = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        connection.execute("UPDATE alembic_version SET version_num = 'deadbeef'")
        try:
            line = refused(monkeypatch, tmp_path, f"{uri}?application_name=anew")  # MLflow keeps open ones
        finally:
            connection.execute("UPDATE alembic_version SET version_num = %s", version)
    assert "is of another version of MLflow" in line and "mlflow db upgrade" in line


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, which takes seconds to make."""
    folder = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        store.open_store(writes=True)
    return folder


@pytest.fixture
def own(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    for path in (path for path in made.iterdir() if path.is_file()):
        shutil.copy2(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return store.open_store(writes=True)


def begun(own: Store, writer: str, **content: Any) -> str:
    """The run of a training that begins with this writer."""
    made = StoreWriter(*own, {})
    tags = {WRITER: writer, METHOD: "gan", FINGERPRINT: "f" * 64}
    made.begin({"tags": tags, "about": {**tags, RECIPE: "r"}, "params": {}, "data": "data", "patch": "",
                "data_sha256": "0" * 64, "is_repeat": False, "started": store.milliseconds(), "name": "gan",
                **content}, {})
    return made.run_id


def beaten(own: Store, run_id: str, seconds_ago: float) -> None:
    own[0].set_tag(run_id, HEARTBEAT, str(store.milliseconds() - int(1000 * seconds_ago)))


def test_a_training_that_resumes_here_goes_on_in_the_run_of_a_machine_that_died(own: Store) -> None:
    first = begun(own, ELSEWHERE)
    beaten(own, first, SILENT_SECONDS + 60)
    assert begun(own, writer_tag(), resumes=True) == first
    run = own[0].get_run(first)
    assert run.info.status == "RUNNING" and run.data.tags[WRITER] == writer_tag()


@pytest.mark.parametrize("seconds_ago, resumes, status", [
    (5.0, True, "RUNNING"), (SILENT_SECONDS + 60, False, "KILLED")])
def test_a_machine_that_lives_keeps_its_run_and_a_training_without_its_checkpoint_begins_another(
        own: Store, seconds_ago: float, resumes: bool, status: str) -> None:
    first = begun(own, ELSEWHERE)
    beaten(own, first, seconds_ago)
    assert begun(own, writer_tag(), resumes=resumes) != first
    assert own[0].get_run(first).info.status == status


def test_a_run_of_another_machine_without_a_heartbeat_is_left_alone(own: Store) -> None:
    first = begun(own, ELSEWHERE)
    assert close_abandoned(*own) == []
    assert own[0].get_run(first).info.status == "RUNNING"


def test_a_heart_beats_until_it_is_stopped(own: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from aigc.tracking import killed

    monkeypatch.setattr(killed, "BEAT_SECONDS", 0.05)
    first = begun(own, ELSEWHERE)
    beaten(own, first, SILENT_SECONDS + 60)
    heart = Heart(own[0], first)
    deadline = time.monotonic() + 20
    while not is_fresh(own, first):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    heart.stop()
    time.sleep(0.5)
    last = own[0].get_run(first).data.tags[HEARTBEAT]
    time.sleep(0.3)
    assert own[0].get_run(first).data.tags[HEARTBEAT] == last


def is_fresh(own: Store, run_id: str) -> bool:
    return store.milliseconds() - int(own[0].get_run(run_id).data.tags[HEARTBEAT]) < 60_000
