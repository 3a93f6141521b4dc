"""A model is loaded as it was written, or refused."""

import json
from pathlib import Path

import pytest
import torch

from aigc import methods
from aigc.core import config, paths
from aigc.core.errors import StorageError
from aigc.core.runtime import Device
from aigc.features.classifier import Classifier, ClassifierConfig
from aigc.features.extractor import ClassifierExtractor
from aigc.model.card import CONFIG, WEIGHTS, read_card, write_model
from aigc.model.contract import Shape
from projects import ROOT
from small import small_model

SHAPE = Shape(1, 28, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_model(tmp_path / "models", "gan")


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1
    path.write_bytes(content)


def test_a_model_of_another_version_of_its_page_is_one_line(tmp_path: Path) -> None:
    settings = methods.load_config("dcgan", config.read(ROOT / "params.yaml"))
    built = methods.build("dcgan", settings, SHAPE)
    facts = {
        "method": "dcgan",
        "shape": vars(SHAPE),
        "classes": [],
        "seed": 0,
        "data_sha256": "",
        "origin": {},
    }
    older = {key: value for key, value in settings.model_dump().items() if key != "critic_hidden"}
    for changed in (older, {**settings.model_dump(), "generator_hidden": 0}):
        write_model(tmp_path, built, config=changed, **facts)
        with pytest.raises(StorageError, match="a model of another version of dcgan") as caught:
            methods.load(tmp_path)
        assert "\n" not in str(caught.value) and "http" not in str(caught.value)


def test_a_model_of_a_method_that_is_no_more_and_one_of_another_shape_are_one_line(tmp_path: Path) -> None:
    settings = methods.load_config("dcgan", config.read(ROOT / "params.yaml"))
    built = methods.build("dcgan", settings, SHAPE)
    facts = {"config": settings.model_dump(), "classes": [], "seed": 0, "data_sha256": "", "origin": {}}
    for method, shape, says in (
        ("diffusion", vars(SHAPE), "a model of diffusion, a method that this version does not have"),
        ("dcgan", {"depth": 3}, "a model of another version of dcgan"),
    ):
        write_model(tmp_path, built, method=method, shape=shape, **facts)
        with pytest.raises(StorageError, match=says):
            methods.load(tmp_path)


def test_the_card_lists_every_file_beside_it(folder: Path) -> None:
    card = read_card(folder)
    assert set(card.files) == {path.name for path in folder.iterdir()} - {CONFIG}


@pytest.mark.parametrize("position", [0, 8, 1000, -1])
def test_a_flipped_bit_of_a_file_is_refused_and_the_file_named(folder: Path, position: int) -> None:
    flip(folder / WEIGHTS, position)
    with pytest.raises(StorageError, match=f"{folder / WEIGHTS}: sha256 is"):
        methods.load(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with pytest.raises(StorageError, match=f"{folder / WEIGHTS}: sha256 is nothing"):
        methods.load(folder)


@pytest.mark.parametrize(
    "field", ["method", "config", "shape", "classes", "seed", "data_sha256", "files", "card_sha256"]
)
def test_a_changed_field_of_the_card_is_refused_and_the_card_named(folder: Path, field: str) -> None:
    content = json.loads((folder / CONFIG).read_text())
    other = {
        "method": "vae",
        "config": {**content["config"], "loss": "hinge"},
        "shape": {**content["shape"], "classes": 9},
        "classes": content["classes"][::-1],
        "seed": 1,
        "data_sha256": "0" * 64,
        "files": {WEIGHTS: "0" * 64},
        "card_sha256": "0" * 64,
    }
    (folder / CONFIG).write_text(json.dumps({**content, field: other[field]}))
    with pytest.raises(StorageError, match=f"{folder / CONFIG}: was changed after it was written"):
        methods.load(folder)


@pytest.mark.parametrize("listed", [{}, {WEIGHTS: "0" * 64, "../other": "0" * 64}])
def test_a_card_that_lists_no_weights_or_another_folder_is_no_card(
    folder: Path, listed: dict[str, str]
) -> None:
    content = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**content, "files": listed}))
    with pytest.raises(StorageError, match="not the card of a model"):
        read_card(folder)


def test_a_flipped_bit_of_the_evaluator_is_refused(
    tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ClassifierConfig(
        images=1,
        batch_size=1,
        ema_halflife=1.0,
        warmup=0.0,
        decay=0.5,
        learning_rate=0.1,
        width=8,
        features=8,
    )
    shape = Shape(1, 28, 10)
    torch.manual_seed(0)
    write_model(
        paths.EVALUATOR,
        Classifier(settings, shape),
        method="evaluator",
        config=settings.model_dump(),
        shape=vars(shape),
        classes=[str(n) for n in range(10)],
        seed=0,
        data_sha256="",
        origin={},
    )
    ClassifierExtractor(device)
    flip(paths.EVALUATOR / WEIGHTS, -1)
    with pytest.raises(StorageError, match=r"models/evaluator/model\.safetensors: sha256 is"):
        ClassifierExtractor(device)
