"""The losses of cyclegan in closed form, the batches of both classes, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aigc import methods
from aigc.core.errors import ConfigError, DataError, Interrupted
from aigc.core.randomness import BalancedOrder
from aigc.core.runtime import Device
from aigc.data.pictures import Pictures
from aigc.methods.cyclegan import CycleGAN, CycleGANConfig
from aigc.model.contract import Shape
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.loop import Trainer
from small import committed_params

SHAPE, PLACE = Shape(1, 16, 2), Path("data/processed/train")


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class Says(nn.Module):
    """A critic with one score for every picture."""

    def __init__(self, score: float) -> None:
        super().__init__()
        self.score = nn.Parameter(torch.tensor(score))

    def forward(self, x: Tensor) -> Tensor:
        return self.score.expand(len(x), 1, 2, 2)


def config(**changes: object) -> CycleGANConfig:
    content = {**committed_params()["cyclegan"], "width": 4, "critic_width": 4, "depth": 1, **changes}
    chosen = methods.load_config("cyclegan", {"cyclegan": content})
    assert isinstance(chosen, CycleGANConfig)
    return chosen


def losses(to_a: nn.Module, to_b: nn.Module, score: float, real: Tensor, **changes: object) -> list[float]:
    """[generator, critic]"""
    method = CycleGAN(config(**changes), SHAPE)
    method.to_a, method.to_b = to_a, to_b
    method.critic_a, method.critic_b = Says(score), Says(score)
    labels = torch.arange(len(real)) % 2
    found = dict(method.updates(real, labels, torch.Generator().manual_seed(0)))
    assert list(found) == ["generator", "critic"]
    return [float(loss.detach()) for loss in found.values()]


@pytest.fixture
def real() -> Tensor:
    return torch.rand(8, *SHAPE.image, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_cycle_costs_nothing_where_the_generators_undo_each_other(real: Tensor) -> None:
    for to_a, to_b in ((2.0, 0.5), (-1.0, -1.0)):
        generator, critic = losses(Times(to_a), Times(to_b), 1.0, real, identity_weight=0.0)
        assert generator == 0  # a score of 1 is real
        assert critic == pytest.approx(1.0)  # two critics that take a fake for real: 1/2 each


def test_every_term_has_its_closed_form(real: Tensor) -> None:
    a, b = real[::2].abs().mean(), real[1::2].abs().mean()
    # to_a halves, to_b triples: once around is 3/2.
    generator, critic = losses(Times(0.5), Times(3.0), 0.25, real, cycle_weight=10.0, identity_weight=5.0)
    cycle, identity = (a + b) / 2, a / 2 + 2 * b
    assert generator == pytest.approx(float(2 * 0.75**2 / 2 + 10 * cycle + 5 * identity), rel=1e-5)
    assert critic == pytest.approx(2 * (0.75**2 + 0.25**2) / 2)


def test_a_label_chooses_the_generator_whatever_the_other_labels_are(real: Tensor) -> None:
    method = CycleGAN(config(), SHAPE).eval()
    with torch.inference_mode():
        to_a, to_b = (method.decode(real, torch.full((8,), label)) for label in (0, 1))
        mixed = method.decode(real, torch.arange(8) % 2)
    assert not torch.equal(to_a, to_b)
    assert torch.equal(mixed[::2], to_a[::2]) and torch.equal(mixed[1::2], to_b[1::2])


def test_measures_are_zero_for_the_identity_and_the_share_of_a_pictures_variance_else(real: Tensor) -> None:
    method = CycleGAN(config(), SHAPE)
    method.to_a, method.to_b = Times(1.0), Times(1.0)
    labels, rng = torch.arange(8) % 2, torch.Generator()
    assert all(measure.abs().max() == 0 for measure in method.own_measures(real, labels, rng).values())
    method.to_b = Times(2.0)  # once around doubles a picture, whichever class it starts from
    found = method.own_measures(real, labels, rng)
    expected = real.square().mean((1, 2, 3)) / real.var((1, 2, 3), correction=0)
    torch.testing.assert_close(found["cycle_error"], expected)
    torch.testing.assert_close(found["identity_error"], expected * labels)


def pictures(counts: dict[str, int]) -> Pictures:
    labels = np.repeat(np.arange(len(counts)), list(counts.values()))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (len(labels), *SHAPE.image), np.uint8)
    return Pictures(images, labels.astype(np.int64), list(counts))


def trainer(chosen: CycleGANConfig, device: Device, folder: Path) -> Trainer:
    learned = methods.learned("cyclegan", chosen.learns_from, pictures({"5": 9, "8": 4, "3": 30}), PLACE)
    return Trainer.on(learned, "cyclegan", lambda: methods.build("cyclegan", chosen, Shape.of(learned)),
                      chosen, TrainConfig(seed=0, intervals=4, checkpoints=4, balanced=True), device,
                      Checkpoints(folder))


def test_every_batch_is_half_of_each_class_however_uneven_the_classes_are(
    device: Device, tmp_path: Path
) -> None:
    feed = trainer(config(), device, tmp_path).feed
    assert isinstance(feed.order, BalancedOrder)
    split = pictures({"5": 9, "8": 4, "3": 30})
    for step in range(20):
        images, labels = feed.read(step, 8)
        assert sorted(labels.tolist()) == [0, 0, 0, 0, 1, 1, 1, 1]
        for image, label in zip(images, labels, strict=True):  # "3" is class 0, "8" class 1, in config()
            row = next(row for row, other in enumerate(split.images) if np.array_equal(image, other))
            assert split.classes[split.labels[row]] == config().classes[label]


def test_a_training_that_was_stopped_ends_as_one_that_was_not_with_its_pool(
    device: Device, tmp_path: Path
) -> None:
    chosen = config(images=160, pool=8)
    whole = trainer(chosen, device, tmp_path / "a").fit().state_dict()
    stopped = trainer(chosen, device, tmp_path / "b")
    for _ in range(13):
        stopped.train_step()
    with pytest.raises(Interrupted):
        stopped.stop(15)
    resumed = trainer(chosen, device, tmp_path / "b")
    resumed.resume()
    assert resumed.step == 13 and int(resumed.model.pool_a.count) == 52
    assert torch.equal(resumed.model.pool_a.pictures, stopped.model.pool_a.pictures)
    ended = trainer(chosen, device, tmp_path / "b").fit().state_dict()
    assert whole.keys() == ended.keys() and all(torch.equal(whole[key], ended[key]) for key in whole)
    assert whole["pool_a.pictures"].numel() == 0  # a model is without the pictures that training kept


@pytest.mark.parametrize(("changes", "says"), [
    ({"classes": ["3"]}, "must be the names of two classes"),
    ({"classes": ["3", "3"]}, "must be the names of two classes"),
    ({"classes": [3.5, "8"]}, r"`cyclegan.classes.0`: Input should be a valid string \(found 3.5\)"),
    ({"batch_size": 5}, r"batch_size \(5\) must be even"),
    ({"pool": 3}, r"pool \(3\) must be 0 or at least half of batch_size \(8\)"),
])
def test_settings_that_cannot_be_are_one_line(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        config(**changes)
    assert "\n" not in str(caught.value)


def test_the_name_of_a_class_may_be_a_number() -> None:
    assert config(classes=[3, 8]).classes == ["3", "8"]


def test_a_side_that_the_networks_cannot_halve_and_a_critic_without_positions_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\(16\) must divide the pictures' side of 24 pixels"):
        CycleGAN(config(patch=4, halvings=2), Shape(1, 24, 2))
    with pytest.raises(ConfigError, match=r"`cyclegan.critic_levels` \(4\) leaves less than 2 x 2 scores"):
        CycleGAN(config(critic_levels=4), Shape(1, 16, 2))


@pytest.mark.parametrize(("counts", "says"), [
    ({"3": 5, "9": 5}, "data/processed/train: no class `8`, which cyclegan learns from; known here: 3, 9"),
    ({}, "no class `3`, which cyclegan learns from; there are no classes"),
    ({"3": 5, "8": 0}, "0 pictures of class `8`, cyclegan needs 2 or more"),
    ({"3": 1, "8": 5}, "1 picture of class `3`, cyclegan needs 2 or more"),
])
def test_classes_that_are_not_there_are_named_in_one_line(counts: dict[str, int], says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        methods.learned("cyclegan", config().learns_from, pictures(counts), PLACE)
    assert "\n" not in str(caught.value) and "take it out of `methods`" in str(caught.value)
