"""The nearest training pictures are those that the audit finds, and its verdict is of exactly this model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aigc.core import hashes, paths
from aigc.core.errors import DataError
from aigc.evaluation import memorization_audit, model_identity
from aigc.model.card import Card, read_card
from aigc.playground import neighbours
from aigc.playground.neighbours import Training
from playing import write_training
from small import small_model


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Training pictures, uint8 (120, 1, 16, 16), with the audit's file."""
    monkeypatch.chdir(tmp_path)
    return write_training(tmp_path)


@pytest.fixture
def card(train: np.ndarray, tmp_path: Path) -> Card:
    return read_card(small_model(tmp_path / "models", "cgan", data_sha256=hashes.array_sha256(train)))


def test_a_mirrored_and_shifted_training_picture_is_found_and_named_a_copy(
    train: np.ndarray, card: Card
) -> None:
    copy = np.roll(train[7, :, :, ::-1], 1, axis=1)
    new = np.random.default_rng(5).integers(0, 256, (2, 1, 16, 16), dtype=np.uint8)
    found = Training().nearest(np.stack([new[0], copy, new[1]]), card)
    assert (found[0].number, found[0].row, found[0].is_copy) == (1, 7, True)
    assert np.array_equal(found[0].image, train[7])
    assert [neighbour.is_copy for neighbour in found[1:]] == [False, False]


def test_as_many_pictures_are_compared_as_the_work_allows(
    train: np.ndarray, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "WORK", 3 * 18 * 120 * 14 * 14)
    assert sorted(found.number for found in Training().nearest(train[:9], card)) == [0, 1, 2]


def test_a_model_of_other_pictures_is_not_compared(train: np.ndarray, card: Card) -> None:
    for other, images in ((replace(card, data_sha256="0" * 64), train), (card, train[:, :, :8, :8])):
        with pytest.raises(DataError, match="these are not the pictures that cgan learned from"):
            Training().nearest(images, other)


@pytest.mark.parametrize("passes", [True, False])
def test_the_verdict_is_that_of_the_metrics_of_this_model(card: Card, passes: bool) -> None:
    assert neighbours.verdict(card).passes is None
    content = {"fid": {"value": 1.0, "floor": 0.1}, "collapse": {},
               "memorization": {"passes": passes,
                                "pixels": {"near_duplicates": {"value": 0.0625, "floor": 0.006}}},
               "protocol": {**model_identity.identity(card), "n": 1000,
                            "audit": {"max_near_duplicates": 0.05}}}
    paths.metrics("cgan").parent.mkdir(parents=True)
    paths.metrics("cgan").write_text(json.dumps(content))
    said = neighbours.verdict(card)
    assert said.passes is passes and "6.2% of 1,000 samples" in said.text and "limit: 5%" in said.text
    another = neighbours.verdict(replace(card, seed=1))
    assert another.passes is None and "the numbers of another model" in another.text


def test_the_audit_finds_the_same_nearest_pictures(train: np.ndarray, card: Card) -> None:
    audit = memorization_audit.read(paths.REFERENCE, train)
    images = np.random.default_rng(6).integers(0, 256, (20, 1, 16, 16), dtype=np.uint8)
    nearest = audit.find_nearest(images, np.zeros((20, 2)))["pixels"]
    found = {neighbour.number: neighbour.row for neighbour in Training().nearest(images, card)}
    assert [found[number] for number in range(20)] == nearest.index.tolist()
