"""What the convolutional adversarial methods (dcgan, cgan, wgan_gp) share: the two networks, their sizes."""

from typing import Annotated

from pydantic import Field

from aigc.core.config import Count
from aigc.methods.families.adversarial import AdversarialConfig
from aigc.model.contract import Shape
from aigc.networks import blocks
from aigc.networks.convolutional import Critic, Generator

Units = Annotated[int, Field(ge=0)]


class ConvolutionalConfig(AdversarialConfig):
    width: Count
    max_width: Count
    generator_hidden: Units
    critic_hidden: Units


def networks(config: ConvolutionalConfig, shape: Shape, classes: int = 0,
             see_batch: bool = False) -> tuple[Generator, Critic]:
    """Generator and critic for pictures of `shape`; class-conditional where `classes` is above 0."""
    levels, side = blocks.pyramid(config.width, shape.size, config.max_width)
    return (Generator(config.latent, levels, side, shape.channels, classes, config.generator_hidden),
            Critic(shape.channels, levels, side, classes, config.critic_hidden, see_batch))
