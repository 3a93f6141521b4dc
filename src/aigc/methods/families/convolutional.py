"""What the convolutional adversarial methods share (dcgan, cgan, wgan_gp): one pyramid of sizes, a generator up it, a critic down."""

from typing import Annotated

from pydantic import Field

from aigc.core import config
from aigc.methods.contract import Shape
from aigc.methods.families.adversarial import AdversarialConfig
from aigc.networks import blocks
from aigc.networks.convolutional import Critic, Generator

Units = Annotated[int, Field(ge=0)]


class PyramidConfig(AdversarialConfig):
    width: config.Count
    max_width: config.Count
    generator_hidden: Units
    critic_hidden: Units


def players(chosen: PyramidConfig, shape: Shape, classes: int = 0, see_batch: bool = False) -> tuple[Generator, Critic]:
    """The two networks for pictures of `shape`, both told the class where `classes` is above 0."""
    levels, side = blocks.pyramid(chosen.width, shape.size, chosen.max_width)
    return (Generator(chosen.latent, levels, side, shape.channels, classes, chosen.generator_hidden),
            Critic(shape.channels, levels, side, classes, chosen.critic_hidden, see_batch))
