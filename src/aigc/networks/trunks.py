"""Encoder and decoder for the methods that have both: multilayer perceptrons or convolutions."""

import itertools
from typing import Literal

from torch import nn

from aigc.networks import blocks

Trunk = Literal["mlp", "convolution"]
Pair = tuple[nn.Module, nn.Module]


def encoder_and_decoder(trunk: Trunk, image: tuple[int, int, int], outputs: int, latent: int, width: int,
                        max_width: int) -> Pair:
    """encoder: images (B, *image) -> (B, outputs). decoder: latents (B, latent) -> logits (B, *image).

    image: (C, H, W). mlp: two hidden layers of `max_width` units. convolution: levels of `blocks.pyramid`.
    """
    if trunk == "mlp":
        return mlp(image, outputs, latent, max_width)
    return convolution(image, outputs, latent, width, max_width)


def mlp(image: tuple[int, int, int], outputs: int, latent: int, hidden: int) -> Pair:
    channels, side, _ = image
    pixels = channels * side**2
    return (nn.Sequential(nn.Flatten(), blocks.mlp([pixels, hidden, hidden, outputs])),
            nn.Sequential(blocks.mlp([latent, hidden, hidden, pixels]), nn.Unflatten(1, image)))


def convolution(image: tuple[int, int, int], outputs: int, latent: int, width: int, max_width: int) -> Pair:
    channels, size, _ = image
    levels, side = blocks.pyramid(width, size, max_width)
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for fine, coarse in itertools.pairwise([channels, *levels[1:]]):
        down += [nn.Conv2d(fine, coarse, 4, 2, 1), nn.SiLU()]
        up = [nn.SiLU(), nn.ConvTranspose2d(coarse, fine, 4, 2, 1), *up]
    flat = levels[-1] * side**2
    return (nn.Sequential(*down, nn.Flatten(), blocks.Linear(flat, outputs)),
            nn.Sequential(blocks.Linear(latent, flat), nn.Unflatten(1, (levels[-1], side, side)), *up))
