"""What the training writes beside its weights; when it goes on, and when it is done anew."""

import re
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aigc.core import cuda, files, paths, runtime
from aigc.core.runtime import Device
from aigc.data import pictures
from aigc.reporting import figures
from aigc.stages import train
from aigc.tracking import relocation, sync
from aigc.training.observer import Observer
from projects import ROOT, run_in
from stores import client_of

WEIGHTS = "models/gan/model.safetensors"


def test_a_history_that_went_through_a_checkpoint_is_the_same_file(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    straight = [{"step": 3, "images": 384, "loss/critic": 0.1}]
    resumed = [{name: float(value) for name, value in row.items()} for row in straight]
    contents = []
    for history in (straight, resumed):
        train.write_history("gan", list(straight[0]), history)
        contents.append(paths.history("gan").read_text())
    assert contents[0] == contents[1] == "step,images,loss/critic\n3,384,0.1\n"


def test_a_player_that_rested_has_an_empty_cell_and_no_number_in_the_curves(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    history = [{"step": 1, "images": 8, "loss/a": 0.5}, {"step": 2, "images": 16, "loss/b": 0.25}]
    train.write_history("turns", ["step", "images", "loss/a", "loss/b"], history)
    assert paths.history("turns").read_text() == "step,images,loss/a,loss/b\n1,8,0.5,\n2,16,,0.25\n"
    assert sync._history(paths.history("turns")) == history
    drawn = pd.read_csv(paths.history("turns"))
    assert drawn["loss/a"].isna().tolist() == [False, True]
    assert figures.losses(drawn).svg.startswith("<svg")


def store_of(finished: Path, folder: Path) -> Path:
    """A copy of the finished project with a store of its own."""
    shutil.copytree(finished, folder, symlinks=True)
    relocation.run(folder)
    return folder


def gan_runs(project: Path) -> list[str]:
    client = client_of(project)
    experiment = client.get_experiment_by_name("aigc")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], "tags.`aigc.method` = 'gan'")
    assert {run.info.status for run in found} == {"FINISHED"}
    return [run.info.run_id for run in found]


def test_a_training_that_is_forced_is_done_anew_as_a_run_of_its_own_to_the_same_bytes(
        finished: Path, tmp_path: Path) -> None:
    project = store_of(finished, tmp_path / "project")
    lock, weights = (project / "dvc.lock").read_bytes(), (project / WEIGHTS).read_bytes()
    assert len(gan_runs(project)) == 1
    done = run_in(project, "dvc", "repro", "--force", "-s", "train@gan")
    assert "Running stage 'train@gan'" in done.stdout and "resumed at step" not in done.stderr
    assert (project / WEIGHTS).read_bytes() == weights and (project / "dvc.lock").read_bytes() == lock
    first, second = gan_runs(project)
    before, now = ([point.step for point in client_of(project).get_metric_history(run, "images")]
                   for run in (first, second))
    assert before == now != []


def test_the_evaluator_that_is_forced_is_trained_anew_to_the_same_bytes(
        finished: Path, tmp_path: Path) -> None:
    project = store_of(finished, tmp_path / "project")
    lock = (project / "dvc.lock").read_bytes()
    done = run_in(project, "dvc", "repro", "--force", "-s", "evaluator")
    assert "Running stage 'evaluator'" in done.stdout and "resumed at step" not in done.stderr
    assert (project / "dvc.lock").read_bytes() == lock


KILLED_AT_THE_END = """
import os, signal
from contextlib import contextmanager
from aigc.core import config, runtime
switches = config.section("runtime", runtime.RuntimeConfig)
runtime.cap_environment(switches.arithmetic, switches.threads)
from aigc.stages import train
from aigc.training.observer import Observer, TrainingWatch

class Killer(TrainingWatch):
    def trained(self, *_):
        os.kill(os.getpid(), signal.SIGKILL)

class Watch(Observer):
    @contextmanager
    def training(self, _):
        yield Killer()

train.run("gan", Watch())
"""


def test_a_training_killed_after_its_last_checkpoint_resumes_there(
        project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    weights = (project / WEIGHTS).read_bytes()
    shutil.rmtree(project / ".checkpoints")
    killed = run_in(project, sys.executable, "-c", KILLED_AT_THE_END, check=False, PYTHONPATH="src")
    assert killed.returncode == -signal.SIGKILL
    (project / WEIGHTS).unlink()
    monkeypatch.chdir(project)
    train.run("gan", Observer())
    resumed = re.search(r"gan: resumed at step (\d+) of (\d+)", capsys.readouterr().err)
    assert resumed and resumed[1] == resumed[2]
    assert (project / WEIGHTS).read_bytes() == weights


@pytest.mark.parametrize(("arithmetic", "found"), [("portable", None), ("fast", "cpu")])
def test_a_checkpoint_of_fast_arithmetic_names_its_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                          device: Device, arithmetic: str,
                                                          found: str | None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cuda, "problem", lambda: "not in this test")
    params = (ROOT / "params.yaml").read_text().replace("arithmetic: portable", f"arithmetic: {arithmetic}")
    (tmp_path / "params.yaml").write_text(
        params.replace("images: 150000", "images: 640"))
    shutil.copy(ROOT / paths.REQUIREMENTS, tmp_path)
    folder = paths.PROCESSED / "train"
    files.write_npy(folder / "images.npy", np.zeros((40, 1, 28, 28), np.uint8))
    pictures.write_labels(folder, np.full(40, -1), [])
    pictures.write_origin(folder, {})
    train.run("gan", Observer())
    runtime.start_torch("portable", 1)
    checkpoint = next(paths.CHECKPOINTS.glob("gan-*/*.safetensors"))
    identified = files.read_tensors(checkpoint)[1]["identity"]["params"]
    assert identified.get("runtime.device") == found
    assert "train.seed" in identified and "train.watch" not in identified
