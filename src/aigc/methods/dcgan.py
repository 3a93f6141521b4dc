"""Convolutional GAN (Radford et al. 2016): transposed convolutions up, strided ones down, normalised where it helps.

Departures from the paper: no batch normalisation in the critic but a gradient penalty; a dense hidden layer at the coarse
end of both networks, which the paper does without, since two halvings of a small picture let no place know of the others; a
critic that sees how much a batch varies; narrow layers; and larger learning rates under an average of the weights.
"""

from aigc.methods.families import convolutional
from aigc.methods.families.adversarial import Adversarial, GameConfig
from aigc.model.contract import Shape


class DCGANConfig(GameConfig, convolutional.PyramidConfig):
    see_batch: bool


class DCGAN(Adversarial):
    def __init__(self, config: DCGANConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.play(*convolutional.players(config, shape, see_batch=config.see_batch))
