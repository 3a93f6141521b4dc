"""Batches of real pictures as a function of the step: from a memory map on the CPU, from the device elsewhere."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from aigc.core.runtime import Device
from aigc.networks import augment
from aigc.networks.blocks import as_model_space
from aigc.training.randomness import BalancedOrder, Order, generator


class Feed:
    """Pictures and labels in a seeded endless order.

    images: uint8 (N, C, H, W), memory-mapped or not. labels: int64 (N,), -1 = unlabelled. balanced: every class
    equally often. mirror, shift (pixels): each batch's pictures are changed at random, on the device.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, seed: int, device: Device, balanced: bool = False,
                 mirror: bool = False, shift: int = 0) -> None:
        self.order = BalancedOrder(torch.from_numpy(np.array(labels)), seed) if balanced else Order(len(images), seed)
        self.seed, self.mirror, self.shift = seed, mirror, shift
        self.device = device.torch_device
        self.images: np.ndarray | Tensor = images
        self.labels: np.ndarray | Tensor = labels
        if self.device.type != "cpu":
            self.images = torch.from_numpy(np.array(images)).to(self.device)
            self.labels = torch.from_numpy(np.array(labels)).to(self.device)

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        """Batch number `step`: float32 (size, C, H, W) in [-1, 1] and int64 (size,)."""
        images, labels = self._rows(self.order.indices(step * size, size))
        if self.mirror or self.shift:
            rng = generator(self.seed, "augment", step, self.device)
            images = augment.mirror(images, rng) if self.mirror else images
            images = augment.translate(images, self.shift, rng) if self.shift else images
        return images, labels

    def all(self, size: int) -> Iterator[Tensor]:
        """Every picture once, in the order of the array: float32 (up to size, C, H, W)."""
        for start in range(0, self.order.count, size):
            yield self._rows(torch.arange(start, min(start + size, self.order.count)))[0]

    def _rows(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.images, Tensor) and isinstance(self.labels, Tensor):
            chosen = chosen.to(self.device)
            return as_model_space(self.images[chosen]), self.labels[chosen]
        rows = chosen.numpy()
        return as_model_space(torch.from_numpy(self.images[rows])), torch.from_numpy(self.labels[rows])
