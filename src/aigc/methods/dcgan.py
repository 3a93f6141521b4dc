"""Convolutional GAN (Radford et al. 2016): transposed convolutions up, strided ones down, normalised where it
helps.

Departures from the paper:
- The critic has a gradient penalty and no batch normalisation.
- Both networks have a dense hidden layer at the coarsest level. A small picture is halved only twice, so
  without that layer a position sees only part of the picture.
- The critic may see how much the pictures of a batch differ.
- Layers are narrow, learning rates larger, and samples come from an average of the weights.
"""

from aigc.methods.families import convolutional
from aigc.methods.families.adversarial import Adversarial, GANLossConfig
from aigc.model.contract import Shape


class DCGANConfig(GANLossConfig, convolutional.ConvolutionalConfig):
    see_batch: bool


class DCGAN(Adversarial):
    def __init__(self, config: DCGANConfig, shape: Shape) -> None:
        super().__init__(config, shape, *convolutional.networks(config, shape, see_batch=config.see_batch))
