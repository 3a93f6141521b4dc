"""A U-Net on patches (Ronneberger et al. 2015) that gets time and class: the velocity of flow matching."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc.networks import blocks
from aigc.networks.blocks import Linear

GROUPS = 8  # of channels, for group normalisation
HEAD = 32  # channels of an attention head


def time_features(t: Tensor, width: int) -> Tensor:
    """t in [0, 1], (B,) -> (B, width): sines and cosines at geometric frequencies (Vaswani et al. 2017)."""
    frequencies = torch.exp(torch.linspace(0, math.log(1000), width // 2, device=t.device))
    angles = t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Residual(nn.Module):
    """Residual block of two convolutions; the embedding sets scale and shift after the second norm."""

    def __init__(self, fan_in: int, fan_out: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm1, self.conv1 = nn.GroupNorm(GROUPS, fan_in), nn.Conv2d(fan_in, fan_out, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(GROUPS, fan_out), nn.Conv2d(fan_out, fan_out, 3, padding=1)
        self.modulate = Linear(embedding, 2 * fan_out)
        self.skip = nn.Conv2d(fan_in, fan_out, 1) if fan_in != fan_out else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, embedding: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(B, fan_in, H, W), (B, embedding) -> (B, fan_out, H, W). rng: of the dropout, None = no dropout."""
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
        hidden = self.conv1(F.silu(self.norm1(x)))
        hidden = F.silu(self.norm2(hidden) * (1 + scale) + shift)
        if rng is not None and self.dropout:
            kept = torch.rand(hidden.shape, generator=rng, device=rng.device) >= self.dropout
            hidden = hidden * kept / (1 - self.dropout)
        skipped: Tensor = self.skip(x)
        return skipped + self.conv2(hidden)


class Attention(nn.Module):
    """Each position attends to all (Vaswani et al. 2017), added to the input; at first it adds nothing.

    The products are written out: torch's fused attention has no deterministic backward pass everywhere.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD if channels % HEAD == 0 else 1
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W). Memory grows with (H W)^2."""
        joint: Tensor = self.query_key_value(self.norm(x))
        query, key, value = joint.flatten(2).unflatten(1, (3, self.heads, -1)).unbind(1)  # (B, heads, c, HW)
        weights = (query.transpose(2, 3) @ (key * key.shape[2] ** -0.5)).softmax(3)
        mixed = value @ weights.transpose(2, 3)
        attended: Tensor = self.out(mixed.reshape(x.shape))
        return x + attended


class Level(nn.Module):
    """`depth` residual blocks at one resolution, each followed by attention where `attend`."""

    def __init__(self, fan_in: int, fan_out: int, embedding: int, depth: int, attend: bool,
                 dropout: float) -> None:
        super().__init__()
        widths = pairwise([fan_in, *[fan_out] * depth])
        self.residuals = nn.ModuleList(Residual(*pair, embedding, dropout) for pair in widths)
        self.attentions = nn.ModuleList(Attention(fan_out) if attend else nn.Identity() for _ in range(depth))

    def forward(self, x: Tensor, embedding: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(B, fan_in, H, W), (B, embedding) -> (B, fan_out, H, W)"""
        for residual, attention in zip(self.residuals, self.attentions, strict=True):
            x = attention(residual(x, embedding, rng))
        return x


class UNet(nn.Module):
    """x (B, channels, S, S), t (B,), labels (B,) -> v (B, channels, S, S).

    The label `classes` means no class.

    patch: the pixels a side of a patch. sides: of each level in patches, finest first, each half of the one
    before, rounded down. levels: each level's multiple of `width`. depth: residual blocks of each level on
    the way down, and again on the way up. attention: the sides of the levels with attention.

    A skip connection adds x to the output, times a gain that depends on time (as Karras 2022). Without it,
    where a patch has more numbers than the network has channels, part of the noise could not reach the output
    and would stay in the picture.
    """

    def __init__(self, channels: int, classes: int, width: int, patch: int, sides: list[int],
                 levels: list[int], depth: int = 1, attention: tuple[int, ...] | list[int] = (),
                 dropout: float = 0.0) -> None:
        super().__init__()
        self.patch, self.width, embedding = patch, width, 4 * width
        pixels, widths = channels * patch**2, [width * level for level in levels]

        def level(fan_in: int, number: int) -> Level:
            return Level(fan_in, widths[number], embedding, depth, sides[number] in attention, dropout)

        self.time = nn.Sequential(Linear(width, embedding), nn.SiLU(), Linear(embedding, embedding))
        self.label = blocks.ClassEmbedding(classes + 1, embedding) if classes else None
        self.start = nn.Conv2d(pixels, widths[0], 3, padding=1)
        self.encoder, self.downs = nn.ModuleList([level(widths[0], 0)]), nn.ModuleList()
        for number, (fine, coarse) in enumerate(pairwise(widths), 1):
            self.downs.append(blocks.down(fine, coarse))
            self.encoder.append(level(coarse, number))
        self.middle = level(widths[-1], -1)
        self.ups, self.decoder = nn.ModuleList(), nn.ModuleList()
        for number in reversed(range(len(widths) - 1)):
            self.ups.append(blocks.up(widths[number + 1], widths[number], sides[number]))
            self.decoder.append(level(2 * widths[number], number))
        last = nn.Conv2d(widths[0], pixels, 3, padding=1)
        self.past = Linear(embedding, pixels)
        for weights in (last.weight, self.past.weight, self.past.bias):
            nn.init.zeros_(weights)
        self.end = nn.Sequential(nn.GroupNorm(GROUPS, widths[0]), nn.SiLU(), last)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """rng: of the dropout; None = no dropout."""
        embedding = self.time(time_features(t, self.width))
        if self.label is not None:
            embedding = embedding + self.label(labels)
        embedding = F.silu(embedding)
        patches = F.pixel_unshuffle(x, self.patch)
        hidden: Tensor = self.encoder[0](self.start(patches), embedding, rng)
        skips = []
        for down, level in zip(self.downs, self.encoder[1:], strict=True):
            skips.append(hidden)
            hidden = level(down(hidden), embedding, rng)
        hidden = self.middle(hidden, embedding, rng)
        for up, level in zip(self.ups, self.decoder, strict=True):
            hidden = level(torch.cat([skips.pop(), up(hidden)], dim=1), embedding, rng)
        skipped = self.past(embedding)[:, :, None, None] * patches
        return F.pixel_shuffle(self.end(hidden) + skipped, self.patch)
