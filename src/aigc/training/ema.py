"""The exponential moving average (EMA) of a model's weights. Samples and the saved model use it."""

import copy
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import nn

T = TypeVar("T", bound=nn.Module)


class EMA(Generic[T]):
    """A copy of `model` with averaged parameters. halflife: in images. Buffers are copied, not averaged."""

    def __init__(self, model: T, halflife: float) -> None:
        self.model: T = copy.deepcopy(model).requires_grad_(False)
        self.halflife = halflife

    @torch.no_grad()
    def update(self, model: T, images_seen: int, images: int) -> None:
        """Average in the weights of `model` after `images` more images.

        The half-life is at most a twentieth of `images_seen`, so that the first weights soon count for
        nothing (Karras et al. 2020, ramp-up of StyleGAN2-ADA).
        """
        halflife = min(self.halflife, max(images_seen, 1) / 20)
        weight = 1 - 0.5 ** (images / halflife)
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), weight)
        for average, current in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(current)


@torch.no_grad()
def refresh_batch_statistics(model: nn.Module, passes: int, forward: Callable[[int], object]) -> None:
    """Set the BatchNorm statistics to the mean over `passes` calls: forward(0), forward(1), ..."""
    batch_norm = nn.modules.batchnorm._BatchNorm
    normalisations = [layer for layer in model.modules() if isinstance(layer, batch_norm)]
    if not normalisations:
        return
    momenta = [layer.momentum for layer in normalisations]
    for layer in normalisations:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over all passes
        layer.train()
    for index in range(passes):
        forward(index)
    for layer, momentum in zip(normalisations, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
