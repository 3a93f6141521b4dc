"""A run whose writer is gone is recognised, and no other."""

from pathlib import Path

import pytest

from aigc.core import paths, process
from aigc.tracking import killed, store


def test_a_run_that_a_kill_left_running_becomes_killed_and_one_whose_writer_lives_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    client, experiment = store.open_store()
    names = ("dead", "gone", "alive", "foreign", "namesake", "container")
    locks = {name: tmp_path / paths.training_lock(name, "0123") for name in names}
    for name in ("dead", "namesake", "container"):
        locks[name].parent.mkdir(parents=True)
        locks[name].touch()
    others = {
        "foreign": "elsewhere:/another/place",
        "namesake": f"machine-0123:{tmp_path}",
        "container": f"1f2e3d:{tmp_path}",
    }
    writers = {name: others.get(name, killed.writer_tag()) for name in names}
    made = {
        name: client.create_run(
            experiment, tags={killed.WRITER: writers[name], "aigc.method": name, "aigc.fingerprint": "0123"}
        ).info.run_id
        for name in names
    }
    with process.only_writer(locks["alive"]):
        closed = {run.info.run_id for run in killed.close_abandoned(client, experiment)}
        assert closed == {made["dead"], made["gone"], made["container"]}
        assert {name: client.get_run(made[name]).info.status for name in made} == {
            "dead": "KILLED",
            "gone": "KILLED",
            "container": "KILLED",
            "alive": "RUNNING",
            "foreign": "RUNNING",
            "namesake": "RUNNING",
        }
        assert killed.close_abandoned(client, experiment) == []
