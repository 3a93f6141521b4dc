"""Class-conditional GAN: a generator that is told the class, a critic that is told what the picture claims to
be.

Mirza & Osindero 2014, in the form of Miyato & Koyama 2018: the class sets scale and shift of the generator's
normalised activations, and the critic's score gains the inner product of its features with the class's
embedding.
"""

from aigc.methods.families import convolutional
from aigc.methods.families.adversarial import Adversarial, GANLossConfig
from aigc.model.contract import Shape


class CGANConfig(GANLossConfig, convolutional.ConvolutionalConfig):
    see_batch: bool


class CGAN(Adversarial):
    conditional = needs_classes = True

    def __init__(self, config: CGANConfig, shape: Shape) -> None:
        super().__init__(config, shape, *convolutional.networks(
            config, shape, shape.classes, config.see_batch))
