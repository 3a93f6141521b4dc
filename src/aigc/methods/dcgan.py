"""Convolutional GAN (Radford et al. 2016): transposed convolutions up, strided ones down, normalised where it helps.

Departures from the paper: no batch normalisation in the critic but a gradient penalty, narrow layers, and larger
learning rates under an average of the weights.
"""

import itertools

from torch import nn

from aigc.core import config
from aigc.methods.adversarial import Adversarial, AdversarialConfig
from aigc.methods.contract import Shape
from aigc.networks import blocks


class Config(AdversarialConfig):
    width: config.Count
    max_width: config.Count


class Build(Adversarial):
    def __init__(self, chosen: Config, shape: Shape) -> None:
        super().__init__(chosen, shape)
        levels = blocks.widths(chosen.width, shape.size, chosen.max_width)
        side = shape.size >> (len(levels) - 1)
        self.play(generator(chosen.latent, levels, side, shape.channels), critic(shape.channels, levels, side))


def generator(latent: int, levels: list[int], side: int, channels: int) -> nn.Sequential:
    """(B, latent) -> (B, channels, size, size): from `side` pixels, doubled once a level."""
    layers: list[nn.Module] = [blocks.Linear(latent, levels[-1] * side**2), nn.Unflatten(1, (levels[-1], side, side)),
                               nn.BatchNorm2d(levels[-1]), nn.ReLU()]
    for coarse, fine in itertools.pairwise(reversed(levels[1:])):
        layers += [nn.ConvTranspose2d(coarse, fine, 4, 2, 1, bias=False), nn.BatchNorm2d(fine), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(levels[1], channels, 4, 2, 1), nn.Tanh())


def critic(channels: int, levels: list[int], side: int) -> nn.Sequential:
    """(B, channels, size, size) -> (B,): halved once a level down to `side` pixels, then one linear score."""
    layers: list[nn.Module] = []
    for fine, coarse in itertools.pairwise([channels, *levels[1:]]):
        layers += [nn.Conv2d(fine, coarse, 4, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), blocks.Linear(levels[-1] * side**2, 1), nn.Flatten(0))
