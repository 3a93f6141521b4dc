"""A method that translates learns from its two classes alone, and gets each holdout picture of them once."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from aigc import methods
from aigc.core import files, paths
from aigc.core.errors import DataError
from aigc.data import pictures
from aigc.methods.cyclegan import CycleGAN
from aigc.model.card import read_card
from aigc.networks.blocks import as_bytes
from aigc.stages import generate, train
from aigc.training.observer import Observer
from projects import ROOT

COUNTS = {"train": {"cat": 6, "dog": 20, "hen": 9}, "holdout": {"cat": 7, "dog": 4, "hen": 5}}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and splits of pictures whose shade is 100 times the class plus the row."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    params = (ROOT / "params.yaml").read_text()
    for before, after in (("  classes: [3, 8] ", "  classes: [hen, dog]"),
                          ("  images: 7500 ", "  images: 48 "), ("intervals: 100", "intervals: 2"),
                          ("checkpoints: 10", "checkpoints: 2")):
        assert before in params
        params = params.replace(before, after)
    (tmp_path / "params.yaml").write_text(params)
    for name, counts in COUNTS.items():
        labels = np.repeat(np.arange(3), list(counts.values()))
        images = np.empty((len(labels), 1, 16, 16), np.uint8)
        images[:] = (100 * labels + np.arange(len(labels)))[:, None, None, None] % 256
        files.write_npy(paths.PROCESSED / name / "images.npy", images)
        pictures.write_labels(paths.PROCESSED / name, labels, list(counts))
        pictures.write_origin(paths.PROCESSED / name, {})
    return tmp_path


def test_a_translator_learns_from_its_classes_and_translates_each_holdout_picture_of_them_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    updates = CycleGAN.updates

    def recorded(self: CycleGAN, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[Any]:
        seen.append((real, labels))
        return updates(self, real, labels, rng)

    monkeypatch.setattr(CycleGAN, "updates", recorded)
    train.run("cyclegan", Observer())
    for real, labels in [batch for batch in seen if len(batch[0]) == 8]:  # the others: training/memory
        shades = as_bytes(real)[:, 0, 0, 0]
        assert labels.sum() == 4 and torch.equal(shades // 100, 2 - labels)  # a hen is 2 there and 0 here
    assert read_card(paths.model("cyclegan")).classes == ["hen", "dog"]

    generate.run("cyclegan")
    made = pictures.open_folder(paths.generated("cyclegan"))
    assert made.labels.tolist() == [0, 1] * 4 and made.classes == ["hen", "dog"]
    sources = generate.translation_sources("cyclegan", methods.load(paths.model("cyclegan"))[0])
    shades = sources[:, 0, 0, 0].tolist()
    assert shades[::2] == [107, 108, 109, 110] and shades[1::2] == [211, 212, 213, 214]  # dogs become hens


@pytest.mark.parametrize(("label", "says"), [(0, "no class `dog`"), (1, "1 picture of class `dog`")])
def test_a_class_that_is_not_there_stops_the_training_before_it_starts(
    place: Path, label: int, says: str
) -> None:
    counts = {"cat": 5, "bee": 1, "hen": 9} if label == 0 else {"cat": 5, "dog": 1, "hen": 9}
    labels = np.repeat(np.arange(3), list(counts.values()))
    files.write_npy(paths.PROCESSED / "train" / "images.npy", np.zeros((len(labels), 1, 16, 16), np.uint8))
    pictures.write_labels(paths.PROCESSED / "train", labels, list(counts))
    with pytest.raises(DataError, match=says):
        train.run("cyclegan", Observer())
    assert not paths.model("cyclegan").exists()
