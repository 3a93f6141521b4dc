"""Residual generator and critic without normalisation (Huang et al. 2024, config E); classes are optional."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc.networks import blocks

EXPANSION = 2  # of the channels inside a block
GROUP = 16  # channels of a group of the 3 x 3 convolution
SLOPE = 0.2  # of the leaky ReLU


class Bottleneck(nn.Module):
    """Inverted bottleneck (Sandler et al. 2018): 1 x 1 wider, 3 x 3 in groups, 1 x 1 back, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = EXPANSION * channels
        self.widen = nn.Conv2d(channels, wide, 1)
        self.mix = nn.Conv2d(wide, wide, 3, padding=1, groups=wide // GROUP)
        self.narrow = nn.Conv2d(wide, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)"""
        hidden = F.leaky_relu(self.widen(x), SLOPE)
        hidden = F.leaky_relu(self.mix(hidden), SLOPE)
        narrowed: Tensor = self.narrow(hidden)
        return x + narrowed


def fix_up(network: nn.Module) -> None:
    """Initial weights with which a deep network needs no normalisation (Zhang et al. 2019, Fixup).

    The last convolution of each block starts at zero, the others at He's values times L^(-1/4), where L is
    the number of blocks: the network starts as its skip connections, and the first steps change its output
    by an amount that does not grow with L.
    """
    found = [module for module in network.modules() if isinstance(module, Bottleneck)]
    for block in found:
        for layer in (block.widen, block.mix):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            with torch.no_grad():
                layer.weight.mul_(len(found) ** -0.25)
        nn.init.zeros_(block.narrow.weight)
        for name, bias in block.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(bias)


def bottlenecks(channels: int, depth: int) -> nn.Sequential:
    """`depth` blocks at one resolution."""
    return nn.Sequential(*(Bottleneck(channels) for _ in range(depth)))


class ResidualGenerator(nn.Module):
    """z (B, latent) [, labels (B,)] -> images (B, channels, size, size) in [-1, 1].

    A dense layer gives the coarsest level. Each level has `depth` blocks. Between levels, pixels are repeated
    and a 1 x 1 convolution changes the channels. levels, sides: from `blocks.pyramid` of the side in patches
    of `patch` x `patch` pixels. The embedding of the class is appended to z. The label `classes` means no
    class.
    """

    def __init__(self, latent: int, levels: list[int], sides: list[int], channels: int, patch: int,
                 depth: int, classes: int = 0) -> None:
        super().__init__()
        self.sides, self.patch = sides[-2::-1], patch
        self.embed = blocks.ClassEmbedding(classes + 1, latent) if classes else None
        coarsest = (levels[-1], sides[-1], sides[-1])
        inputs = latent * (2 if classes else 1)
        self.start = nn.Sequential(blocks.Linear(inputs, math.prod(coarsest)), nn.Unflatten(1, coarsest))
        widths = levels[::-1]
        self.levels = nn.ModuleList(bottlenecks(width, depth) for width in widths)
        self.changes = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for coarse, fine in pairwise(widths))
        self.end = nn.Conv2d(widths[-1], channels * patch**2, 1)
        fix_up(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, latent), int64 (B,) -> (B, channels, size, size)"""
        if self.embed is not None:
            z = torch.cat([z, self.embed(labels)], dim=1)
        x: Tensor = self.levels[0](self.start(z))
        for side, change, level in zip(self.sides, self.changes, self.levels[1:], strict=True):
            # Channels before side: the other order gives the same and costs more.
            x = level(F.interpolate(change(x), size=(side, side), mode="nearest"))
        return F.pixel_shuffle(self.end(x), self.patch).tanh()


class ResidualCritic(nn.Module):
    """Images (B, channels, size, size) [, labels (B,)] -> scores (B,).

    The mirror image of the generator: between levels, the mean of 2 x 2 pixels. A dense layer of `hidden`
    units before the score; with classes, the score gains the inner product of those units and the embedding
    of the class (Miyato & Koyama 2018, eq. 3). The label `classes` means no class.
    """

    def __init__(self, channels: int, patch: int, levels: list[int], sides: list[int], depth: int,
                 hidden: int, classes: int = 0) -> None:
        super().__init__()
        self.patch = patch
        self.start = nn.Conv2d(channels * patch**2, levels[0], 1)
        self.levels = nn.ModuleList(bottlenecks(width, depth) for width in levels)
        self.changes = nn.ModuleList(nn.Conv2d(fine, coarse, 1) for fine, coarse in pairwise(levels))
        self.features = nn.Sequential(nn.Flatten(), blocks.Linear(levels[-1] * sides[-1]**2, hidden),
                                      nn.LeakyReLU(SLOPE))
        self.score = blocks.Linear(hidden, 1)
        self.embed = blocks.ClassEmbedding(classes + 1, hidden) if classes else None
        if self.embed is not None:
            nn.init.zeros_(self.embed.weight)
        fix_up(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, channels, size, size), int64 (B,) -> (B,)"""
        x: Tensor = self.levels[0](self.start(F.pixel_unshuffle(images, self.patch)))
        for change, level in zip(self.changes, self.levels[1:], strict=True):
            x = level(change(F.avg_pool2d(x, 2)))
        features = self.features(x)
        score: Tensor = self.score(features).flatten()
        if self.embed is None:
            return score
        return score + (self.embed(labels) * features).sum(1) / features.shape[1] ** 0.5
