"""The loss of the r3gan against its closed form; the class of unlabelled pictures; sizes that it refuses."""

import math

import pytest
import torch
from torch import Tensor, nn

from aigc import methods
from aigc.core.errors import ConfigError
from aigc.methods import r3gan
from aigc.model.contract import Shape
from small import committed_params

WEIGHT, R1, R2 = 0.25, 0.6, 1.4  # WEIGHT: of each pixel in the score


def build(shape: Shape, **changes: object) -> r3gan.R3GAN:
    section = committed_params()["r3gan"] | {"width": 8, "max_width": 8, "r1": R1, "r2": R2} | changes
    built = methods.build("r3gan", methods.load_config("r3gan", {"r3gan": section}), shape)
    assert isinstance(built, r3gan.R3GAN)
    return built


class Linear(nn.Module):
    """D(x) = WEIGHT times the sum of the pixels: the gradient is WEIGHT everywhere."""

    def forward(self, images: Tensor, *labels: Tensor) -> Tensor:
        return WEIGHT * images.flatten(1).sum(1)


class Constant(nn.Module):
    """Pictures of one shade each, in turn."""

    shades = (-0.01, 0.02)

    def forward(self, latents: Tensor, *labels: Tensor) -> Tensor:
        return torch.tensor(self.shades)[:, None, None, None].expand(2, 1, 16, 16)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_both_losses_are_those_of_pairs_and_both_penalties_act_at_every_step() -> None:
    method = build(Shape(1, 16, 0))
    method.critic, method.generator = Linear(), Constant()
    real_shades, pixels = (0.03, -0.02), 256
    real = torch.tensor(real_shades)[:, None, None, None].expand(2, 1, 16, 16)
    margins = [WEIGHT * pixels * (x - g) for x, g in zip(real_shades, Constant.shades, strict=True)]
    penalty = (R1 + R2) / 2 * pixels * WEIGHT**2
    for step in range(3):
        rng = torch.Generator().manual_seed(step)
        (first, critic), (second, generator) = method.updates(real, torch.full((2,), -1), rng)
        assert (first, second) == ("critic", "generator")
        assert critic.item() == pytest.approx(sum(softplus(-m) for m in margins) / 2 + penalty, rel=1e-5)
        assert generator.item() == pytest.approx(sum(softplus(m) for m in margins) / 2, rel=1e-5)


def test_it_is_conditional_where_there_are_classes_and_an_unlabelled_picture_has_its_own() -> None:
    assert not build(Shape(1, 16, 0)).conditional
    method = build(Shape(1, 16, 3))
    assert method.conditional and not method.needs_classes
    labels, = method.condition(torch.tensor([2, -1, 0]))
    assert labels.tolist() == [2, 3, 0]
    for _, loss in method.updates(torch.rand(2, 1, 16, 16), torch.tensor([1, -1]), torch.Generator()):
        assert loss.isfinite()


def test_a_patch_that_does_not_divide_the_side_is_one_line_that_names_the_key() -> None:
    with pytest.raises(ConfigError, match=r"`r3gan.patch` \(3\) must divide the pictures' side of 16 pixels"):
        build(Shape(1, 16, 0), patch=3)
