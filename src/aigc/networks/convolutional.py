"""Convolutional generator and critic, with or without classes."""

import itertools
import math

import torch
from torch import Tensor, nn

from aigc.networks import blocks


class ConditionalBatchNorm2d(nn.Module):
    """Batch normalisation whose scale and shift depend on the class (de Vries 2017; Miyato & Koyama 2018)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.scale = blocks.ClassEmbedding(classes, channels)
        self.shift = blocks.ClassEmbedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(B, C, H, W), int64 (B,) -> (B, C, H, W)"""
        normal: Tensor = self.normalise(x)
        return normal * self.scale(labels)[:, :, None, None] + self.shift(labels)[:, :, None, None]


class Generator(nn.Module):
    """z (B, latent) [, labels (B,)] -> images (B, channels, size, size) in [-1, 1].

    A dense layer gives the coarsest level; each transposed convolution doubles the side. levels, sides: from
    `blocks.pyramid`. hidden: units of a dense layer before the coarsest level, 0 = none. That layer can
    separate classes before any spatial position is generated.
    """

    def __init__(self, latent: int, levels: list[int], sides: list[int], channels: int,
                 classes: int = 0, hidden: int = 0) -> None:
        super().__init__()
        self.classes = classes
        coarsest = (levels[-1], sides[-1], sides[-1])
        widths = [latent, *filter(None, [hidden]), math.prod(coarsest)]
        self.start = nn.Sequential(blocks.mlp(widths), nn.Unflatten(1, coarsest))
        self.norms = nn.ModuleList(
            ConditionalBatchNorm2d(width, classes) if classes else nn.BatchNorm2d(width)
            for width in reversed(levels[1:]))
        steps = itertools.pairwise([*reversed(levels[1:]), channels])
        self.ups = nn.ModuleList(blocks.up(coarse, fine, side)
                                 for (coarse, fine), side in zip(steps, sides[-2::-1], strict=True))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, latent), int64 (B,) -> (B, channels, size, size)"""
        # BatchNorm of a non-contiguous input calls torch.sqrt, which is not portable: core/runtime.py.
        x: Tensor = self.start(z).contiguous()
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up((norm(x, labels) if self.classes else norm(x)).relu())
        return x.tanh()


class MinibatchStdDev(nn.Module):
    """Appends one channel: the standard deviation over the batch, averaged over channels and pixels.

    It lets the critic detect a generator whose images are too similar (Karras et al. 2018, section 3).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C + 1, H, W)"""
        # sum / len is cheaper than mean: the gradient of a mean divides a tensor of the batch's size.
        # x * rsqrt(x), since sqrt is not portable: core/runtime.py.
        mean = x.sum(0) / len(x)
        variance = (x - mean).square().sum(0) / len(x) + 1e-8
        deviation = (variance * variance.rsqrt()).mean()
        return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], dim=1)


class Critic(nn.Module):
    """Images (B, channels, size, size) [, labels (B,)] -> scores (B,).

    Strided convolutions, then a linear score. levels, sides: from `blocks.pyramid`.
    hidden: units of a dense layer before the score, 0 = none. Without it the score is a sum over positions,
    and no term of the sum depends on the whole image. see_batch: adds MinibatchStdDev. A score, and a
    gradient penalty, then depend on the whole batch. With classes, the score gains the inner product of
    features and class embedding (Miyato & Koyama 2018, eq. 3).
    """

    def __init__(self, channels: int, levels: list[int], sides: list[int], classes: int = 0,
                 hidden: int = 0, see_batch: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for fine, coarse in itertools.pairwise([channels, *levels[1:]]):
            layers += [blocks.down(fine, coarse), nn.LeakyReLU(0.2)]
        layers += [*([MinibatchStdDev()] if see_batch else []), nn.Flatten()]
        features = (levels[-1] + see_batch) * sides[-1]**2
        if hidden:
            layers += [blocks.Linear(features, hidden), nn.LeakyReLU(0.2)]
            features = hidden
        self.trunk = nn.Sequential(*layers)
        self.score = blocks.Linear(features, 1)
        self.embed = blocks.ClassEmbedding(classes, features) if classes else None
        if self.embed is not None:
            nn.init.zeros_(self.embed.weight)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, channels, size, size), int64 (B,) -> (B,)"""
        features: Tensor = self.trunk(images)
        score: Tensor = self.score(features).flatten()
        if self.embed is None:
            return score
        return score + (self.embed(labels) * features).sum(1) / features.shape[1] ** 0.5
