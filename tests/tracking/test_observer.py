"""What MLflow hears of a training, and what it costs where nothing is watched."""

from pathlib import Path

import pytest
import torch

from aigc import methods
from aigc.core import cuda
from aigc.model import sampling
from aigc.tracking.observer import MlflowObserver
from aigc.training.observer import Training
from small import small_model
from stores import runs_of

ROWS = [{"step": 10, "images": 640, "loss/critic": 1.0}]


def training(watch: bool) -> Training:
    return Training("gan", "0" * 64, {}, {}, Path("data"), "d" * 64, steps=100, watch=watch, is_repeat=False)


@pytest.mark.parametrize("watch", [True, False])
def test_samples_are_made_while_training_only_where_it_is_watched(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: bool) -> None:
    monkeypatch.chdir(tmp_path)
    average = methods.load(small_model(tmp_path / "models", "gan"))[0]
    counts: list[int] = []
    real = sampling.blocks
    monkeypatch.setattr(sampling, "blocks",
                        lambda *given, **named: counts.append(given[2]) or real(*given, **named))
    with MlflowObserver().training(training(watch)) as watching:
        watching.progress(ROWS, average)
    assert bool(counts) == watch
    images = list((tmp_path / "mlruns").rglob("samples+step+10+*.png"))
    assert len(images) == watch


def test_the_gpu_of_a_training_is_a_tag_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(cuda, "description", lambda: "Some card (cuda, sm_90, driver 580.65.06)")
    with MlflowObserver().training(training(watch=False)):
        pass
    assert runs_of(tmp_path)["gan"].data.tags["machine.gpu"] == "Some card (cuda, sm_90, driver 580.65.06)"
