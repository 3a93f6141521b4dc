"""Encoder and decoder, multilayer perceptrons or convolutions, for the methods that have both."""

import itertools
from typing import Literal

from torch import nn

from aigc.networks import blocks

Trunk = Literal["mlp", "convolution"]


def pair(trunk: Trunk, image: tuple[int, int, int], codes: int, latent: int, width: int, most: int) -> tuple[nn.Module, nn.Module]:
    """(encoder, decoder): image (C, H, W) -> `codes` numbers, and `latent` numbers -> image logits.

    mlp: two hidden layers of `most` units. convolution: halvings from `width` channels, doubling up to `most`.
    """
    return (mlp if trunk == "mlp" else convolution)(image, codes, latent, width, most)


def mlp(image: tuple[int, int, int], codes: int, latent: int, width: int, most: int) -> tuple[nn.Module, nn.Module]:
    channels, side, _ = image
    pixels = channels * side**2
    return (nn.Sequential(nn.Flatten(), blocks.mlp([pixels, most, most, codes])),
            nn.Sequential(blocks.mlp([latent, most, most, pixels]), nn.Unflatten(1, image)))


def convolution(image: tuple[int, int, int], codes: int, latent: int, width: int, most: int) -> tuple[nn.Module, nn.Module]:
    channels, size, _ = image
    levels, side = blocks.pyramid(width, size, most)
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for fine, coarse in itertools.pairwise([channels, *levels[1:]]):
        down += [nn.Conv2d(fine, coarse, 4, 2, 1), nn.SiLU()]
        up = [nn.SiLU(), nn.ConvTranspose2d(coarse, fine, 4, 2, 1), *up]
    flat = levels[-1] * side**2
    return (nn.Sequential(*down, nn.Flatten(), blocks.Linear(flat, codes)),
            nn.Sequential(blocks.Linear(latent, flat), nn.Unflatten(1, (levels[-1], side, side)), *up))
