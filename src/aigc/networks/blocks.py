"""What several networks use: linear layer, multilayer perceptron, sizes of levels, uint8 <-> float."""

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from aigc.core import runtime

SMALLEST_SIDE = 7
VECTOR = 8  # floats in an AVX2 vector


class Linear(nn.Linear):
    """y = x W^T + b for x of (B, in). Under portable arithmetic oneDNN computes it, not MKL.

    With the caps of portable arithmetic MKL's matrix product takes about twice the time of oneDNN's; without
    them it is as fast (benchmarks/linear.py). Outputs narrower than a vector stay with MKL.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, in) -> (B, out)"""
        if (x.device.type == "cpu" and x.ndim == 2 and x.dtype == torch.float32
                and self.out_features >= VECTOR and runtime.is_capped() and not torch.jit.is_tracing()):
            product: Tensor = _Product.apply(x, self.weight, self.bias)
            return product
        return super().forward(x)


class _Product(torch.autograd.Function):
    """x w^T + b by oneDNN, any times differentiable: (B, in), (out, in), (out,) or None -> (B, out)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, w, b, "none", [], "")
        return product

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        of_x, of_w, *of_b = map(_is_asked_for, ctx.next_functions)
        return (_Product.apply(gradient, w.t(), None) if of_x else None,
                _Product.apply(gradient.t(), x.t(), None) if of_w else None,
                gradient.sum(0) if any(of_b) else None)


def _is_asked_for(input_node: tuple[Any, int]) -> bool:
    """Whether the running backward needs the gradient of this input: one player's step skips the others'."""
    node, _ = input_node
    if node is None:
        return False
    try:
        return torch._C._will_engine_execute_node(node)
    except RuntimeError:  # a leaf of torch.autograd.grad
        return True


class ClassEmbedding(nn.Embedding):
    """Row i belongs to class i. A row after those of the classes means no class."""


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
