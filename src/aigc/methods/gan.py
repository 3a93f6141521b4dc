"""The plain GAN: two multilayer perceptrons (Goodfellow et al. 2014), without the mistakes that make it collapse."""

from torch import nn

from aigc.core import config
from aigc.methods.contract import Shape
from aigc.methods.families.adversarial import Adversarial, GameConfig
from aigc.networks import blocks


class Config(GameConfig):
    width: config.Count


class Build(Adversarial):
    def __init__(self, chosen: Config, shape: Shape) -> None:
        super().__init__(chosen, shape)
        pixels, width = shape.channels * shape.size**2, chosen.width
        self.play(
            generator=nn.Sequential(
                blocks.mlp([chosen.latent, width, 2 * width, 2 * width, pixels]), nn.Tanh(), nn.Unflatten(1, shape.image)),
            critic=nn.Sequential(
                nn.Flatten(), blocks.mlp([pixels, 2 * width, width, width, 1]), nn.Flatten(0)),
        )
