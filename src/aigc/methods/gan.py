"""The plain GAN: two multilayer perceptrons (Goodfellow et al. 2014), without the mistakes that make it
collapse."""

from torch import nn

from aigc.core.config import Count
from aigc.methods.families.adversarial import Adversarial, GANLossConfig
from aigc.model.contract import Shape
from aigc.networks import blocks


class GANConfig(GANLossConfig):
    width: Count


class GAN(Adversarial):
    def __init__(self, config: GANConfig, shape: Shape) -> None:
        pixels, width = shape.channels * shape.size**2, config.width
        super().__init__(
            config, shape,
            generator=nn.Sequential(
                blocks.mlp([config.latent, width, 2 * width, 2 * width, pixels]), nn.Tanh(),
                nn.Unflatten(1, shape.image)),
            critic=nn.Sequential(
                nn.Flatten(), blocks.mlp([pixels, 2 * width, width, width, 1]), nn.Flatten(0)),
        )
