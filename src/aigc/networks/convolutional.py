"""Convolutional generator and critic on a pyramid of sizes, with or without classes."""

import itertools

import torch
from torch import Tensor, nn

from aigc.networks import blocks


class ConditionalBatchNorm2d(nn.Module):
    """Batch normalisation whose scale and shift depend on the class (de Vries 2017; Miyato & Koyama 2018)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.scale, self.shift = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(B, C, H, W), int64 (B,) -> (B, C, H, W)"""
        normal: Tensor = self.normalise(x)
        return normal * self.scale(labels)[:, :, None, None] + self.shift(labels)[:, :, None, None]


class Generator(nn.Module):
    """z (B, latent) [, labels (B,)] -> (B, channels, size, size) in [-1, 1]: transposed convolutions, doubled once a level.

    hidden: units of a layer between the latents and the coarsest grid, 0 = none. With it one smooth law of latents can be
    bent into kinds that lie apart before any place is drawn.
    """

    def __init__(self, latent: int, levels: list[int], side: int, channels: int, classes: int = 0, hidden: int = 0) -> None:
        super().__init__()
        self.classes = classes
        widths = [latent, *filter(None, [hidden]), levels[-1] * side**2]
        self.start = nn.Sequential(blocks.mlp(widths), nn.Unflatten(1, (levels[-1], side, side)))
        self.norms = nn.ModuleList(ConditionalBatchNorm2d(width, classes) if classes else nn.BatchNorm2d(width)
                                   for width in reversed(levels[1:]))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 4, 2, 1)
                                 for coarse, fine in itertools.pairwise([*reversed(levels[1:]), channels]))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x: Tensor = self.start(z).contiguous()  # else batch normalisation takes another way, which is not portable: runtime says why
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up((norm(x, labels) if self.classes else norm(x)).relu())
        return x.tanh()


class BatchDeviation(nn.Module):
    """Appends one channel: how much the pictures of the batch differ, which shows a critic a generator that repeats itself.

    The standard deviation over the batch, averaged over channels and pixels (Karras et al. 2018, section 3).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C + 1, H, W)"""
        # Sums, divided when they are small: the gradient of a mean divides at the size of the batch. No sqrt: runtime says why.
        mean = x.sum(0) / len(x)
        variance = (x - mean).square().sum(0) / len(x) + 1e-8
        deviation = (variance * variance.rsqrt()).mean()
        return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], dim=1)


class Critic(nn.Module):
    """(B, channels, size, size) [, labels (B,)] -> (B,) scores: strided convolutions, then one linear score.

    hidden: units of a layer before the score, 0 = none. Without it the score is a sum over places, and no place's share knows
    what stands elsewhere.
    see_batch: whether it sees how much a batch varies. A picture's score then hangs on its batch, and so do gradient penalties.
    With classes the score gains the inner product of features and the class's embedding (Miyato & Koyama 2018, eq. 3).
    """

    def __init__(self, channels: int, levels: list[int], side: int, classes: int = 0, hidden: int = 0, see_batch: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for fine, coarse in itertools.pairwise([channels, *levels[1:]]):
            layers += [nn.Conv2d(fine, coarse, 4, 2, 1), nn.LeakyReLU(0.2)]
        layers += [*([BatchDeviation()] if see_batch else []), nn.Flatten()]
        features = (levels[-1] + see_batch) * side**2
        if hidden:
            layers += [blocks.Linear(features, hidden), nn.LeakyReLU(0.2)]
            features = hidden
        self.trunk = nn.Sequential(*layers)
        self.score = blocks.Linear(features, 1)
        self.embed = nn.Embedding(classes, features) if classes else None
        if self.embed is not None:
            nn.init.zeros_(self.embed.weight)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features: Tensor = self.trunk(images)
        score: Tensor = self.score(features).flatten()
        if self.embed is None:
            return score
        return score + (self.embed(labels) * features).sum(1) / features.shape[1] ** 0.5
