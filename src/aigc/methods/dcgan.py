"""Convolutional GAN (Radford et al. 2016): transposed convolutions up, strided ones down, normalised where it helps.

Departures from the paper: no batch normalisation in the critic but a gradient penalty, a critic that sees how much a
batch varies, narrow layers, and larger learning rates under an average of the weights.
"""

from aigc.core import config
from aigc.methods.contract import Shape
from aigc.methods.families.adversarial import Adversarial, GameConfig
from aigc.networks import blocks
from aigc.networks.convolutional import Critic, Generator


class Config(GameConfig):
    width: config.Count
    max_width: config.Count
    see_batch: bool


class Build(Adversarial):
    def __init__(self, chosen: Config, shape: Shape) -> None:
        super().__init__(chosen, shape)
        levels, side = blocks.pyramid(chosen.width, shape.size, chosen.max_width)
        self.play(Generator(chosen.latent, levels, side, shape.channels), Critic(shape.channels, levels, side, see_batch=chosen.see_batch))
