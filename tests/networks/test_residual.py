"""Residual networks without normalisation: how they start, and how the class reaches picture and score."""

import itertools

import pytest
import torch

from aigc.networks import blocks
from aigc.networks.residual import Bottleneck, ResidualCritic, ResidualGenerator

LEVELS, SIDES = blocks.pyramid(8, 14, 16)


def test_a_new_block_passes_its_input_on_and_learns_from_the_first_step() -> None:
    torch.manual_seed(0)
    critic = ResidualCritic(1, 2, LEVELS, SIDES, 2, 8)
    found = [module for module in critic.modules() if isinstance(module, Bottleneck)]
    assert len(found) == 4  # two levels of two
    x = torch.randn(3, 8, 5, 5)
    assert torch.equal(found[0](x), x)
    found[0](x).square().sum().backward()
    assert (found[0].narrow.weight.grad != 0).any()


@pytest.mark.parametrize("depth", [1, 8])
def test_the_first_convolutions_start_at_hes_deviation_times_the_fourth_root_of_one_over_the_blocks(
    depth: int
) -> None:
    torch.manual_seed(0)
    network = ResidualGenerator(4, [64], [4], 1, 1, depth)
    for block in (module for module in network.modules() if isinstance(module, Bottleneck)):
        for layer, fan_in in ((block.widen, 64), (block.mix, 16 * 9)):
            he = (2 / (1 + 0.2**2) / fan_in) ** 0.5
            assert layer.weight.std().item() == pytest.approx(he * depth**-0.25, rel=0.05)
            assert not layer.bias.any()


@pytest.mark.parametrize(("size", "patch"), list(itertools.product([28, 88, 504], [1, 2])))
def test_every_pixel_of_every_side_is_drawn_and_is_seen(size: int, patch: int) -> None:
    torch.manual_seed(0)
    levels, sides = blocks.pyramid(8, size // patch, 8)
    critic, generator = (ResidualCritic(1, patch, levels, sides, 1, 4),
                         ResidualGenerator(2, levels, sides, 1, patch, 1))
    for network in (critic, generator):
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    images = torch.zeros(1, 1, size, size, requires_grad=True)
    critic(images).sum().backward()
    assert images.grad is not None
    assert (images.grad != 0).any(3).all() and (images.grad != 0).any(2).all()
    assert generator(torch.randn(1, 2)).shape == (1, 1, size, size)


def test_the_score_gains_the_inner_product_of_features_and_the_embedding_of_the_class() -> None:
    torch.manual_seed(0)
    critic = ResidualCritic(1, 2, LEVELS, SIDES, 1, 25, classes=4).double()
    images, labels = torch.randn(3, 1, 28, 28).double(), torch.tensor([0, 3, 4])  # 4: no class
    without = critic(images, labels)
    torch.nn.init.normal_(critic.embed.weight)
    seen: list[torch.Tensor] = []
    critic.features.register_forward_hook(lambda module, inputs, output: seen.append(output))
    gained = critic(images, labels) - without
    torch.testing.assert_close(gained, (critic.embed.weight[labels] * seen[0]).sum(1) / 5)


def test_the_class_and_the_latent_both_change_the_picture() -> None:
    torch.manual_seed(0)
    generator = ResidualGenerator(4, LEVELS, SIDES, 1, 2, 1, classes=3)
    z = torch.randn(1, 4).expand(2, 4)
    one, other = generator(z, torch.tensor([0, 2]))
    assert not torch.equal(one, other)
    one, other = generator(torch.randn(2, 4), torch.tensor([1, 1]))
    assert not torch.equal(one, other)
