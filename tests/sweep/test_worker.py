"""What a worker does with failures, surplus trials, signals and dead workers; which sweeps it refuses."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from aigc.core.errors import AigcError, ConfigError, StorageError
from aigc.core.process import Terminated
from aigc.sweep import report, space, storage, study
from aigc.sweep.space import Point
from aigc.sweep.trial import Pruned, Report, TrialFailed
from aigc.sweep.worker import Run, Worker
from small import committed_params
from sweeper import RAW, fid, space_here

IDENTITY = {"params": {"gan.width": 256}, "code": {"methods.gan": "a" * 12}}


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[storage.PatientStorage]:
    monkeypatch.setenv(storage.HEARTBEAT, "1")
    with storage.opened(storage.address(f"sqlite:///{tmp_path / 'sweeps.db'}"), writes=True) as made:
        yield made


def result(_: int, point: Point, __: Report | None = None) -> list[dict[str, Any]]:
    return [{"metrics": {"fid": fid(point)}, "passes": True}]


def sweep(opened: storage.PatientStorage, run: Run = result, trials: int = 4,
          of: space.Space | None = None) -> Worker:
    found = of or space_here()
    made = study.begin(found, opened, IDENTITY)
    study.queue(made, found, trials)
    return Worker(made, found, opened, run, "here")


def once(error: BaseException, at: int) -> Callable[..., Any]:
    raised: list[int] = []

    def run(index: int, point: Point, told: Report | None = None) -> list[dict[str, Any]]:
        if index == at and not raised:
            raised.append(index)
            raise error
        return result(index, point, told)

    return run


def test_trials_run_once_each_and_more_are_added_to_a_sweep_that_ended(
        opened: storage.PatientStorage) -> None:
    ran: list[int] = []

    def run(index: int, point: Point, told: Report | None) -> list[dict[str, Any]]:
        ran.append(index)
        return result(index, point)

    sweep(opened, run, 3).work()
    sweep(opened, run, 2).work()
    sweep(opened, run, 5).work()
    assert ran == [0, 1, 2, 3, 4]


def test_a_failed_trial_keeps_its_reason_and_the_others_go_on(opened: storage.PatientStorage) -> None:
    worker = sweep(opened, once(TrialFailed("train@gan: diverged"), at=1))
    worker.work()
    assert report.counts(worker.study) == {"COMPLETE": 3, "FAIL": 1}
    assert "trial 1 failed: train@gan: diverged" in report.status(worker.study, worker.space)


def test_a_worker_stops_after_three_failures_in_a_row(opened: storage.PatientStorage) -> None:
    def run(*_: Any) -> list[dict[str, Any]]:
        raise TrialFailed("no space left on device")

    worker = sweep(opened, run, 9)
    with pytest.raises(AigcError, match="3 trials in a row failed, the last one: no space left on device"):
        worker.work()
    assert report.counts(worker.study)["WAITING"] == 6


def test_a_trial_that_a_signal_stopped_is_queued_again_at_once(opened: storage.PatientStorage) -> None:
    worker = sweep(opened, once(Terminated(15), at=2))
    with pytest.raises(Terminated):
        worker.work()
    assert report.counts(worker.study)["WAITING"] == 2
    worker.work()
    assert [one.index for one in study.outcomes(worker.study, worker.space)] == [0, 1, 2, 3]


def test_a_second_result_of_a_number_does_not_count(opened: storage.PatientStorage) -> None:
    worker = sweep(opened)
    worker.work()
    storage.requeue(worker.study, worker.study.trials[1])
    worker.study.enqueue_trial({})  # of no number
    before = study.outcomes(worker.study, worker.space)
    worker.work()
    assert study.outcomes(worker.study, worker.space) == before
    assert report.counts(worker.study) == {"COMPLETE": 4}


def test_a_trial_whose_worker_died_before_its_first_heartbeat_is_not_lost(
        opened: storage.PatientStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigc.sweep.worker.MISSED", 0)
    worker = sweep(opened)
    worker.study.ask()
    worker.work()
    assert [one.index for one in study.outcomes(worker.study, worker.space)] == [0, 1, 2, 3]


def test_a_trial_that_failed_and_was_not_queued_again_is_not_lost(opened: storage.PatientStorage) -> None:
    worker = sweep(opened)
    worker.study.tell(worker.study.ask(), state=TrialState.FAIL)
    worker.work()
    assert [one.index for one in study.outcomes(worker.study, worker.space)] == [0, 1, 2, 3]


def test_a_sweep_of_another_space_or_project_under_the_same_name_is_refused(
        opened: storage.PatientStorage) -> None:
    sweep(opened)
    other, _ = space.of({**RAW, "seeds": 2}, committed_params(), "x")
    assert other is not None
    for of, identity, told in ((other, IDENTITY, r"another space \(seeds: None there, 2 here\)"),
                               (space_here(), {**IDENTITY, "code": {"methods.gan": "b"}},
                                r"other code or params \(code.methods.gan differs\)")):
        with pytest.raises(ConfigError, match=f"`counted` .* was begun with .*{told}; choose another `name`"):
            study.begin(of, opened, identity)
    optuna.create_study(storage=opened, study_name="theirs").ask()
    theirs, _ = space.of({**RAW, "name": "theirs"}, committed_params(), "x")
    assert theirs is not None
    with pytest.raises(ConfigError, match="`theirs` is no sweep of this program"):
        study.begin(theirs, opened, IDENTITY)


def test_a_second_worker_on_sqlite_is_refused(opened: storage.PatientStorage, tmp_path: Path) -> None:
    with (pytest.raises(StorageError, match="another worker is at work .* SQLite takes one"),
          storage.opened(storage.address(f"sqlite:///{tmp_path / 'sweeps.db'}"), writes=True)):
        pass


@pytest.mark.parametrize(("url", "told"), [
    ("postgresql://u:s3cret@127.0.0.1:1/db", "does not answer (connection failed"),
    ("rubbish s3cret", "not the URL of a database"),
    ("oracle+cx_oracle://u:s3cret@h/db", "its driver (cx_oracle) is not installed"),
    ("sqlite:////nowhere/sweeps.db", "no sweep here yet"),
])
def test_a_database_that_cannot_be_used_is_one_line_without_the_password(url: str, told: str) -> None:
    with pytest.raises(AigcError) as caught, storage.opened(storage.address(url)):
        pass
    assert told in str(caught.value) and "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tables_of_another_version_of_optuna_are_one_line(tmp_path: Path) -> None:
    import sqlite3

    url = storage.address(f"sqlite:///{tmp_path / 'old.db'}")
    with storage.opened(url, writes=True):
        pass
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.execute("update alembic_version set version_num = 'v0.9.0.a'")
    connection.close()
    with pytest.raises(StorageError, match="of another version of Optuna"), storage.opened(url):
        pass


def test_the_best_of_several_objectives_are_those_that_none_beats_and_that_pass_the_audit() -> None:
    found, _ = space.of({**RAW, "objectives": ["fid", "recall"]}, committed_params(), "x")
    assert found is not None
    values = {0: (10.0, 0.5), 1: (12.0, 0.7), 2: (11.0, 0.4), 3: (5.0, 0.9), 4: (10.0, 0.5)}
    trials = [study.Outcome(index, {}, pair, [], index != 3) for index, pair in values.items()]
    assert [one.index for one in study.best(trials, found)] == [0, 1]


def test_the_page_has_the_plots_and_every_trial_and_needs_no_network(
        opened: storage.PatientStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "SWEEP_PAGES", tmp_path)
    worker = sweep(opened, trials=5)
    worker.work()
    page = report.write_page(worker.study, worker.space).read_text()
    for title in ("History of fid", "Importance for fid", "Slices of fid", "gan.latent"):
        assert title in page
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page


def test_without_optuna_the_help_works_and_the_command_says_what_to_install(tmp_path: Path) -> None:
    code = ("import sys; sys.modules['optuna'] = None; from aigc.cli import main; "
            "sys.exit(main(sys.argv[1:]))")
    for words, exit_code in ((["--help"], 0), (["sweep", "status"], 1)):


        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True,
                              check=False)
        assert done.returncode == exit_code
    assert done.stderr == "error: aigc sweep needs optuna; pip install -e .[sweep]\n"


def test_a_trial_that_is_worse_than_most_at_the_same_part_is_pruned_and_is_never_the_best(
        opened: storage.PatientStorage) -> None:
    def run(index: int, point: Point, told: Report | None) -> list[dict[str, Any]]:
        assert told is not None
        for part in range(1, 11):
            fid_so_far = 100.0 - part + (50 if index == 5 else index)
            if told(part, fid_so_far):
                raise Pruned(f"FID {fid_so_far:g} after {part} of 10 parts")
        return [{"metrics": {"fid": 1.0 if index == 5 else 90.0 + index}, "passes": True}]

    of, _ = space.of({**RAW, "prune": True}, committed_params(), "x")
    worker = sweep(opened, run, 6, of)
    worker.work()
    assert report.counts(worker.study)["PRUNED"] >= 1
    assert "trial 5 pruned: FID 148 after 2 of 10 parts" in report.status(worker.study, worker.space)
    assert study.best(study.outcomes(worker.study, worker.space), worker.space)[0].index == 0


def test_the_curve_that_a_training_writes_decides_and_the_reason_reaches_its_run(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aigc.sweep import trial
    from aigc.tracking import observer

    curve = tmp_path / "curve-0.jsonl"
    monkeypatch.setenv("AIGC_CURVE", str(curve))
    for step, value in ((95, 80.0), (190, 60.0), (400, 50.0)):
        observer.write_curve(step, 950, value)
    with curve.open("a") as stream:
        stream.write('{"step": 5')  # cut by a kill
    assert list(trial.points(curve)) == [(1, 80.0), (2, 60.0), (4, 50.0)]
    assert observer.pruned_tags("KILLED") == {}
    with pytest.raises(Pruned, match="FID 60 on the holdout after 2 of 10 parts"):
        trial._watcher(curve, lambda part, _: part == 2)()
    assert observer.pruned_tags("FINISHED") == {}
    assert observer.pruned_tags("KILLED") == {
        "aigc.pruned": "FID 60 on the holdout after 2 of 10 parts of its training"}


def test_the_trials_of_a_sweep_log_to_the_store_of_the_checkout_that_started_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aigc.tracking import store
    from aigc.workspace.paths import SWEEPS

    place = tmp_path / SWEEPS / "rates" / "0123" / "checkout"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    assert store.home() == tmp_path
