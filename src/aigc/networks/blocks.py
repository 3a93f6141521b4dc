"""What several networks use: linear layer, multilayer perceptron, sizes of levels, uint8 <-> float."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc.core import runtime

SMALLEST_SIDE = 7
VECTOR = 8  # floats in an AVX2 vector
# Up to this many numbers torch's own code, not oneDNN, computes the convolution. It is slower than a product.
SMALL_INPUT = 20_480


class Linear(nn.Linear):
    """y = x W^T + b for x of (B, in). Under portable arithmetic it is computed as a convolution of width one.

    Under the caps of portable arithmetic, MKL's matrix product takes about twice the time of oneDNN's
    convolution; without the caps it is faster (benchmarks/linear.py). Small inputs and narrow outputs,
    which oneDNN pads to a whole vector, are faster as a matrix product.
    """

    def forward(self, x: Tensor) -> Tensor:
        as_convolution = (x.device.type == "cpu" and x.ndim == 2 and x.numel() > SMALL_INPUT
                          and self.out_features >= VECTOR and runtime.is_capped())
        if not as_convolution:
            return super().forward(x)
        return F.conv1d(x.T.unsqueeze(0), self.weight.unsqueeze(-1), self.bias).squeeze(0).T


def mlp(widths: list[int], activation: type[nn.Module] | None = None) -> nn.Sequential:
    """Linear layers of these widths, with an activation (default LeakyReLU 0.2) after each but the last."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [Linear(fan_in, fan_out), activation() if activation else nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def halved(size: int, most: int = SMALLEST_SIDE) -> list[int]:
    """A side, halved until it is at most `most` pixels: 28 -> [28, 14, 7], 88 -> [88, 44, 22, 11, 5].

    Half of an odd side is rounded down, as `down` and `up` do.
    """
    sides = [size]
    while sides[-1] > most:
        sides.append(sides[-1] // 2)
    return sides


def pyramid(width: int, size: int, max_width: int) -> tuple[list[int], list[int]]:
    """(channels, sides in pixels) of each level, finest first.

    Each level has half the side of the one before it, and twice its channels, up to `max_width`.
    """
    sides = halved(size)
    return [min(max_width, width * 2**level) for level in range(len(sides))], sides


def down(fine: int, coarse: int) -> nn.Conv2d:
    """A convolution from `fine` to `coarse` channels that halves the side, rounded down."""
    return nn.Conv2d(fine, coarse, 4, stride=2, padding=1)


def up(coarse: int, fine: int, side: int) -> nn.ConvTranspose2d:
    """The reverse of `down`, to a side of `side` pixels: an odd one gets a last row and column."""
    return nn.ConvTranspose2d(coarse, fine, 4, stride=2, padding=1, output_padding=side % 2)


def as_bytes(images: Tensor) -> Tensor:
    """Float in [-1, 1] -> uint8, rounded to nearest, clipped. The pipeline quantises nowhere else."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def as_model_space(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]; `as_bytes` gives the same uint8 back."""
    return images.float().div(127.5).sub(1)
