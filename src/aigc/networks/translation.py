"""Networks that translate pictures into pictures: a residual generator, a critic of patches, a pool of fakes.

All normalisation is per picture (instance normalisation, Ulyanov et al. 2016), so that no picture depends on
the others of its batch.
"""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc.networks import blocks

SLOPE = 0.2  # of the critic's leaky ReLU
ALL_PIXELS, PATCHES = 7, 3  # the kernels of the first and last convolution, over pixels and over patches
KEPT = 2.0  # black and white of a source are 0.96 of it where nothing is changed
STAY = 0.5  # probability with which a full pool gives back the picture that it was given (Zhu et al. 2017)


def instance_norm(channels: int) -> nn.GroupNorm:
    """Each channel of each picture with mean 0 and variance 1: (B, channels, H, W) -> the same."""
    return nn.GroupNorm(channels, channels, affine=False)


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a skip connection (Johnson et al. 2016): (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), instance_norm(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1), instance_norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.change(x)
        return x + changed


class Translator(nn.Module):
    """Pictures (B, channels, size, size) in [-1, 1] -> pictures of the same shape in [-1, 1].

    A convolution, `halvings` strided ones, `depth` residual blocks, and the way back (Johnson et al. 2016).
    The source, times KEPT, is added before the last tanh: an untrained network changes little of it.
    Channels are `width` at the finest level, doubled at each halving. patch: pixels a side of a position of
    the finest level, 1 as published. `patch` times 2^halvings must divide the pictures' side.
    """

    def __init__(self, channels: int, width: int, halvings: int, depth: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        kernel = ALL_PIXELS if patch == 1 else PATCHES
        pixels, widths = channels * patch**2, [width * 2**level for level in range(halvings + 1)]
        layers: list[nn.Module] = [nn.Conv2d(pixels, width, kernel, padding=kernel // 2),
                                   instance_norm(width), nn.ReLU()]
        for fine, coarse in pairwise(widths):
            layers += [blocks.down(fine, coarse), instance_norm(coarse), nn.ReLU()]
        layers += [Residual(widths[-1]) for _ in range(depth)]
        for coarse, fine in pairwise(widths[::-1]):
            layers += [blocks.up(coarse, fine, side=0), instance_norm(fine), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, pixels, kernel, padding=kernel // 2))

    def forward(self, images: Tensor) -> Tensor:
        change = F.pixel_shuffle(self.layers(F.pixel_unshuffle(images, self.patch)), self.patch)
        return (change + KEPT * images).tanh()


class PatchCritic(nn.Module):
    """Images (B, channels, size, size) -> a score for each patch, (B, 1, h, w) (Isola et al. 2017).

    levels: strided convolutions. A score sees 38 pixels a side with 3 levels, 78 with 4.
    """

    def __init__(self, channels: int, width: int, levels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [blocks.down(channels, width), nn.LeakyReLU(SLOPE)]
        widths = [width * 2**level for level in range(levels)]
        for fine, coarse in pairwise(widths):
            layers += [blocks.down(fine, coarse), instance_norm(coarse), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.layers(images)
        return scores


class Pool(nn.Module):
    """Up to `capacity` past pictures for a critic (Shrivastava et al. 2017): part of a training's state.

    The pictures are buffers, so that a checkpoint holds them. `empty` drops them from a model that is
    trained.
    """

    pictures: Tensor
    count: Tensor

    def __init__(self, capacity: int, image: tuple[int, int, int]) -> None:
        super().__init__()
        self.capacity = capacity
        self.register_buffer("pictures", torch.zeros(capacity, *image))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """As many pictures as are given: float32 (B, C, H, W), B at most `capacity` -> the same.

        Until the pool is full it keeps what it gets and gives it back. Then each picture comes back with
        probability 1/2; else a random one of the pool does, and the picture takes its place. The places of
        one call are distinct. No value is read from the device.
        """
        if not self.capacity:
            return images
        given, every = len(images), torch.arange(self.capacity, device=rng.device)
        is_full = self.count >= self.capacity
        drawn = torch.rand(self.capacity, generator=rng, device=rng.device).argsort()[:given]
        places = torch.where(is_full, drawn, (self.count + every[:given]) % self.capacity)
        swapped = torch.rand(given, generator=rng, device=rng.device) >= STAY
        old, keeps = self.pictures[places], (swapped | ~is_full)[:, None, None, None]
        self.pictures[places] = torch.where(keeps, images.to(old), old)
        self.count += given
        return torch.where((swapped & is_full)[:, None, None, None], old, images.to(old))

    def empty(self) -> None:
        """Drop all pictures, for good."""
        self.pictures, self.count = self.pictures[:0], torch.zeros_like(self.count)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """A trained model's pool is empty, whatever its capacity was."""
        self.pictures = self.pictures.new_empty(state.get(f"{prefix}pictures", self.pictures).shape)
        super()._load_from_state_dict(state, prefix, *rest)
