"""What the hidden layers of generator and critic are for, and how the class reaches score and picture."""

import torch
from torch import Tensor

from aigc.networks import blocks
from aigc.networks.convolutional import Critic, Generator

LEVELS, SIDE = blocks.pyramid(4, 28, 16)
CORNERS = torch.zeros(2, 1, 28, 28)
CORNERS[0, :, :4, :4] = CORNERS[1, :, -4:, -4:] = 1


def surprise(critic: Critic) -> Tensor:
    """How far the score is from a sum: of both corners at once, against each corner alone."""
    nothing = torch.zeros(1, 1, 28, 28)
    zero, one, other, both = critic.double()(
        torch.cat([nothing, CORNERS, CORNERS.sum(0, keepdim=True)]).double()
    ).detach()
    return (both - one - other + zero).abs()


def test_far_corners_add_up_in_the_score_unless_the_critic_has_a_hidden_layer() -> None:
    torch.manual_seed(0)
    assert surprise(Critic(1, LEVELS, SIDE)) < 1e-12
    assert surprise(Critic(1, LEVELS, SIDE, hidden=32)) > 1e-6


def test_hidden_units_come_on_top_of_the_layers_that_are_there_without() -> None:
    plain, deeper = (sum(parameter.numel() for parameter in network.parameters())
                     for network in (Generator(8, LEVELS, SIDE, 1), Generator(8, LEVELS, SIDE, 1, hidden=32)))
    grid = LEVELS[-1] * SIDE**2
    assert deeper - plain == (8 + 1) * 32 + (32 + 1) * grid - (8 + 1) * grid


def test_the_score_gains_the_inner_product_of_features_and_the_classs_embedding() -> None:
    torch.manual_seed(0)
    critic, images, labels = (
        Critic(1, LEVELS, SIDE, classes=4, hidden=25).double(),
        torch.randn(3, 1, 28, 28).double(),
        torch.tensor([0, 3, 3]),
    )
    assert critic.embed is not None
    torch.nn.init.normal_(critic.embed.weight)
    features = critic.trunk(images)
    expected = [
        critic.score(row).item() + (row @ critic.embed.weight[label]).item() / 5
        for row, label in zip(features, labels, strict=True)
    ]
    torch.testing.assert_close(critic(images, labels), torch.tensor(expected, dtype=torch.float64))


def test_the_class_reaches_score_and_picture_through_the_hidden_layers() -> None:
    torch.manual_seed(0)
    images = torch.randn(3, 1, 28, 28)
    critic = Critic(1, LEVELS, SIDE, classes=4, hidden=32, see_batch=True)
    assert critic.embed is not None and critic.embed.weight.shape == (4, 32)
    torch.nn.init.normal_(critic.embed.weight)
    assert not torch.equal(critic(images, torch.tensor([0, 1, 2])), critic(images, torch.tensor([1, 2, 3])))
    generator = Generator(8, LEVELS, SIDE, 1, classes=4, hidden=32)
    for norm in generator.norms:
        torch.nn.init.normal_(norm.shift.weight)
    z = torch.randn(3, 8)
    assert generator(z, torch.tensor([0, 1, 2])).shape == (3, 1, 28, 28)
    assert not torch.equal(generator(z, torch.tensor([0, 1, 2])), generator(z, torch.tensor([1, 2, 3])))
