"""Workers and the database are killed: no trial is lost, none counts twice, and the best is the same."""

import itertools
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from aigc.sweep import storage, study
from databases import Database, postgresql
from projects import ROOT, environment_of
from sweeper import STEPS, fid, space_here

TRIALS, WORKERS, KILLS = 20, 3, 10
QUICK = {storage.HEARTBEAT: "1", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"}
DEADLINE = 300.0  # seconds; a sweep that takes longer hangs


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory):
    folder = Path("/tmp") / f"aigc-pg-{os.getpid()}-{time.time_ns()}"
    with postgresql(folder) as made:
        yield made
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def start(database: Database, folder: Path) -> "subprocess.Popen[bytes]":
    with (folder / "said").open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "sweeper.py"), database.url, str(folder), str(TRIALS)],
            cwd=ROOT, env=environment_of(**QUICK), stdout=stream, stderr=stream)


def judge(database: Database, folder: Path) -> None:
    """Every number has one result, each step was made once, and the best is that of an unkilled sweep."""
    said = (folder / "said").read_text()
    space = space_here()
    expected = [{one.key: one.value(point[one.key]) for one in space.parameters}
                for point in space.points(0, TRIALS)]
    with storage.opened(storage.address(database.url)) as opened:
        found = study.outcomes(study.find(opened, "counted"), space)
        states = Counter(trial.state.name for trial in study.find(opened, "counted").get_trials()
                         if trial.user_attrs.get("reason") != "surplus")
    assert [one.index for one in found] == list(range(TRIALS)), said[-3000:]
    assert [one.point for one in found] == expected
    assert study.best(found, space)[0].point == min(expected, key=fid)
    assert states["COMPLETE"] == TRIALS and not states["RUNNING"] and not states["WAITING"]
    steps = Counter(line for line in (folder / "notes").read_text().splitlines() if line.startswith("step"))
    assert len(steps) == TRIALS * STEPS
    assert sum(steps.values()) <= TRIALS * STEPS + KILLS  # a kill between a step and its checkpoint
    assert "Traceback" not in said


@pytest.mark.slow
def test_twenty_trials_with_ten_workers_killed_end_as_if_none_was(database: Database, tmp_path: Path) -> None:
    rng = random.Random(0)
    workers = [start(database, tmp_path) for _ in range(WORKERS)]
    deadline = time.monotonic() + DEADLINE
    try:
        for _ in range(KILLS):
            time.sleep(rng.uniform(1.0, 4.0))
            victim = rng.randrange(len(workers))
            workers[victim].kill()
            workers[victim].wait()
            workers[victim] = start(database, tmp_path)
        for worker in workers:
            assert worker.wait(max(1.0, deadline - time.monotonic())) == 0
    finally:
        for worker in workers:
            worker.kill()
    judge(database, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("away", [5, 60])
def test_a_database_that_is_killed_and_comes_back_costs_nothing(database: Database, tmp_path: Path,
                                                                away: int) -> None:
    workers = [start(database, tmp_path) for _ in range(2)]
    try:
        for _ in itertools.takewhile(lambda _: not (tmp_path / "notes").exists(), range(600)):
            time.sleep(0.1)
        time.sleep(1)
        database.kill()
        time.sleep(away)
        (database.folder / "data/postmaster.pid").unlink(missing_ok=True)
        database.start()
        for worker in workers:
            assert worker.wait(DEADLINE) == 0, (tmp_path / "said").read_text()[-3000:]
    finally:
        for worker in workers:
            worker.kill()
    judge(database, tmp_path)
    assert "the database answers again" in (tmp_path / "said").read_text()
