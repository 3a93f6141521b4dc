"""Residual GAN without normalisation or tricks (Huang et al. 2024, R3GAN): a regularised relativistic loss in
modern networks.

    D: softplus(-(D(x) - D(G(z)))) + r1 / 2 |grad D(x)|^2 + r2 / 2 |grad D(G(z))|^2
    G: softplus(-(D(G(z)) - D(x)))

Each generated picture is judged against a real one, so a mode that the generator leaves out costs it. R1 and
R2 together make training converge (theorem 3.1 of the paper). With labels both networks know the class.

Departures from the paper:
- The first level may be patches of pixels: at full size most of the time goes into few channels.
- A dense layer, not a learned grid times a linear layer, gives the coarsest level; the critic ends likewise.
- Pixels are repeated and averaged between levels; the paper interpolates linearly.
- The class enters the critic as the inner product of Miyato & Koyama 2018.
- Adam's settings and the weights of R1 and R2 do not change while training; the learning rate falls to 0.
"""

from typing import Annotated

from pydantic import Field

from aigc.core import paths
from aigc.core.config import Count
from aigc.core.errors import ConfigError
from aigc.methods.families.adversarial import Adversarial, GANLossConfig
from aigc.model.contract import Shape
from aigc.networks import blocks
from aigc.networks.residual import EXPANSION, GROUP, ResidualCritic, ResidualGenerator

Width = Annotated[int, Field(gt=0, multiple_of=GROUP // EXPANSION)]


class R3GANConfig(GANLossConfig):
    width: Width
    max_width: Width
    patch: Count
    depth: Count
    critic_hidden: Count


class R3GAN(Adversarial):
    conditional = True  # where the pictures have classes

    def __init__(self, config: R3GANConfig, shape: Shape) -> None:
        if shape.size % config.patch:
            raise ConfigError(f"{paths.PARAMS}: `r3gan.patch` ({config.patch}) must divide the pictures' "
                              f"side of {shape.size} pixels")
        levels, sides = blocks.pyramid(config.width, shape.size // config.patch, config.max_width)
        classes = shape.classes if shape.has_classes else 0
        super().__init__(
            config, shape,
            ResidualGenerator(config.latent, levels, sides, shape.channels, config.patch, config.depth,
                              classes),
            ResidualCritic(shape.channels, config.patch, levels, sides, config.depth, config.critic_hidden,
                           classes))
        self.conditional = shape.has_classes
