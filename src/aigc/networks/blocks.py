"""Blocks that more than one method uses: layers, stacks, and the pyramid of sizes that fits any picture."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc.core import runtime

SMALLEST_SIDE = 7
NARROW = 8  # floats of an AVX2 vector
FEW = 20_480  # numbers in a batch up to which torch itself computes such a convolution, more slowly than a product


class Linear(nn.Linear):
    """y = x W^T + b for x of (B, in); on the CPU, under portable arithmetic, for all but small x and narrow outputs, a
    convolution of width one over the batch.

    The same numbers by another library: under the caps of the portable arithmetic MKL's matrix product is about two
    times slower than oneDNN's convolution; without them it is faster (benchmarks/linear.py). oneDNN pads a narrow
    output to a multiple of its vector, which makes it the slower one there.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.ndim != 2 or x.numel() <= FEW or self.out_features < NARROW or not runtime.is_capped():
            return super().forward(x)
        return F.conv1d(x.T.unsqueeze(0), self.weight.unsqueeze(-1), self.bias).squeeze(0).T


def mlp(widths: list[int], activation: type[nn.Module] | None = None) -> nn.Sequential:
    """Linear layers of the given widths with an activation (default LeakyReLU 0.2) between them, none after the last."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [Linear(fan_in, fan_out), activation() if activation else nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def halvings(size: int) -> int:
    """How often a side can be halved before it is at most 7 pixels: 28 -> 2 (7), 32 -> 3 (4), 128 -> 5 (4)."""
    count = 0
    while size > SMALLEST_SIDE:
        if size % 2:
            raise ValueError(f"a side of {size} pixels cannot be halved to {SMALLEST_SIDE} or fewer")
        size //= 2
        count += 1
    return count


def pyramid(base: int, size: int, most: int) -> tuple[list[int], int]:
    """The channels at each level, finest first, doubling from `base` and capped at `most`; and the coarsest level's side in pixels."""
    depth = halvings(size)
    return [min(most, base * 2**level) for level in range(depth + 1)], size >> depth


def as_bytes(images: Tensor) -> Tensor:
    """[-1, 1] float -> uint8, rounded to nearest. The only quantisation there is; out-of-range values are clipped."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def as_model_space(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]; the inverse of `as_bytes` on its grid."""
    return images.float().div(127.5).sub(1)
