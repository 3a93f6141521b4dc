"""Class-conditional GAN: a generator that is told the class, a critic that is told what the picture claims to be.

Mirza & Osindero 2014, in the form of Miyato & Koyama 2018: the class scales and shifts the generator's normalised
activations, and the critic's score gains the inner product of its features with the class's embedding.
"""

from aigc.core import config
from aigc.methods.contract import Shape
from aigc.methods.families.adversarial import Adversarial, GameConfig
from aigc.networks import blocks
from aigc.networks.convolutional import Critic, Generator


class Config(GameConfig):
    width: config.Count
    max_width: config.Count


class Build(Adversarial):
    conditional = needs_classes = True

    def __init__(self, chosen: Config, shape: Shape) -> None:
        super().__init__(chosen, shape)
        levels, side = blocks.pyramid(chosen.width, shape.size, chosen.max_width)
        self.play(Generator(chosen.latent, levels, side, shape.channels, shape.classes),
                  Critic(shape.channels, levels, side, shape.classes))
