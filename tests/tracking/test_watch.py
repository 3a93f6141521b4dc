"""Looks at a training while it runs: they cost little, and no failure of theirs reaches it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from aigc import methods
from aigc.core import files, paths
from aigc.core.runtime import Device
from aigc.data import pictures
from aigc.features.classifier import Classifier, ClassifierConfig
from aigc.features.extractor import ClassifierExtractor
from aigc.metrics import frechet
from aigc.model import sampling
from aigc.model.card import write_model
from aigc.model.contract import Method, Shape
from aigc.tracking import watch
from aigc.tracking.watch import Watcher
from aigc.training.observer import Training
from small import small_model

SETTINGS = {"images": 64, "batch_size": 64, "ema_halflife": 2000.0, "warmup": 0.05, "decay": 0.5,
            "learning_rate": 0.002, "width": 4, "features": 8}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a train and a holdout split, sorted by class, and an evaluator that knows nothing."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("train", "holdout"):
        labels = np.arange(10).repeat(40)
        images = rng.integers(0, 256, (400, 1, 16, 16)) * (1 + labels[:, None, None, None]) // 10
        files.write_npy(paths.PROCESSED / name / "images.npy", images.astype(np.uint8))
        pictures.write_labels(paths.PROCESSED / name, labels, [str(label) for label in range(10)])
    torch.manual_seed(0)
    classifier = Classifier(ClassifierConfig(**SETTINGS), Shape(1, 16, 10))
    write_model(paths.EVALUATOR, classifier, method="evaluator", config=SETTINGS,
                shape=vars(classifier.shape), classes=[str(label) for label in range(10)], seed=0,
                data_sha256="d" * 64, origin={})
    return tmp_path


def watcher(method: str) -> Watcher:
    return Watcher(Training(method, "f" * 64, {}, {}, paths.PROCESSED / "train", "d" * 64, steps=100,
                            watch=True, is_repeat=False))


def model(place: Path, method: str) -> Method:
    return methods.load(small_model(place / "models", method))[0]


@pytest.mark.parametrize("method", methods.available())
def test_the_fid_of_every_method_is_that_of_its_samples_and_the_model_stays_as_it_was(
        place: Path, device: Device, method: str) -> None:
    average = model(place, method)
    before = {name: value.clone() for name, value in average.state_dict().items()}
    settings = average.config
    snapshot = watcher(method).snapshot(average)
    assert snapshot is not None and snapshot.images.shape == (watch.SAMPLES, 1, 16, 16)
    extractor = ClassifierExtractor(device)
    holdout = extractor.extract(watch.holdout(method, average).images).features
    expected = frechet.fid(holdout, extractor.extract(snapshot.images).features)
    assert snapshot.fid == pytest.approx(expected, rel=1e-4) and snapshot.extractor == extractor.sha256
    assert average.config is settings
    assert all(torch.equal(value, before[name]) for name, value in average.state_dict().items())


def test_a_trained_models_look_has_what_training_fitted(place: Path) -> None:
    average = model(place, "dcgan")
    snapshot = watcher("dcgan").snapshot(average, is_trained=True)
    assert snapshot is not None
    samples = torch.cat(list(sampling.blocks(average, 0, watch.SAMPLES))).numpy()
    assert np.array_equal(snapshot.images, samples)


def test_looks_take_at_most_their_share_of_the_time(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    average, watching, clock = model(place, "gan"), watcher("gan"), [0.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock[0])
    watching.started = 0.0
    real_blocks, snapshots = sampling.blocks, []

    def slow_blocks(*arguments: object, **others: object) -> object:
        clock[0] += 1.0  # seconds that a snapshot takes
        return real_blocks(*arguments, **others)

    monkeypatch.setattr(watch.sampling, "blocks", slow_blocks)
    while clock[0] < 200:
        begun = clock[0]
        snapshots += [begun] if watching.snapshot(average) else []
        clock[0] += 1.0
    assert snapshots[0] == 0 and 5 <= len(snapshots) <= 200 * watch.SHARE


def test_without_an_evaluator_there_are_pictures_and_a_line(place: Path,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    (paths.EVALUATOR / "config.json").unlink()
    snapshot = watcher("gan").snapshot(model(place, "gan"))
    assert snapshot is not None and snapshot.fid is None and len(snapshot.images) == watch.SAMPLES
    assert capsys.readouterr().err == ("gan: no FID while it trains: models/evaluator is missing; "
                                       "`dvc repro evaluator` makes it\n")


@pytest.mark.parametrize("spoil", ["the evaluator's weights", "the method"])
def test_a_failure_is_one_line_and_the_last_look(place: Path, spoil: str, monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    average, watching = model(place, "gan"), watcher("gan")
    if spoil == "the method":
        monkeypatch.setattr(type(average), "sample", lambda *_: 1 / 0)
    else:
        (paths.EVALUATOR / "model.safetensors").write_bytes(b"torn")
    assert watching.snapshot(average) is None and watching.snapshot(average) is None
    message = capsys.readouterr().err
    assert message.startswith("gan: not watched any longer (") and message.count("\n") == 1
