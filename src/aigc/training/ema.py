"""The exponential moving average of a model's weights: what is sampled from, saved and judged."""

import copy
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import nn

T = TypeVar("T", bound=nn.Module)


class Average(Generic[T]):
    """A copy of `model` whose parameters trail it with a half-life in images; buffers are copied as they are."""

    def __init__(self, model: T, halflife: float) -> None:
        self.model: T = copy.deepcopy(model).requires_grad_(False)
        self.halflife = halflife

    @torch.no_grad()
    def update(self, model: T, images_seen: int, images: int) -> None:
        """Move towards `model` after `images` more pictures.

        The half-life grows with the run (to at most a twentieth of what was seen), so that the start is forgotten
        (Karras et al. 2020, StyleGAN2-ADA's ramp-up).
        """
        halflife = min(self.halflife, max(images_seen, 1) / 20)
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - 0.5 ** (images / halflife))
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)


@torch.no_grad()
def refresh_batch_statistics(model: nn.Module, passes: int, forward: Callable[[int], object]) -> None:
    """Re-estimate BatchNorm statistics under the averaged weights: the mean over `passes` calls of forward(i)."""
    normalisations = [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    if not normalisations:
        return
    momenta = [layer.momentum for layer in normalisations]
    for layer in normalisations:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over all passes
        layer.train()
    for index in range(passes):
        forward(index)
    for layer, momentum in zip(normalisations, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
