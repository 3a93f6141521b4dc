"""Batches of real pictures as a function of the step.

On the CPU from the memory map. On another device from its own memory where they fit there, else from the memory map, the next
batch read while the device works on this one.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from aigc.core.randomness import BalancedOrder, Order, Purpose, generator
from aigc.core.runtime import Device
from aigc.networks import augment
from aigc.networks.blocks import as_model_space

ROWS = 1 << 12


class Feed:
    """Pictures and labels in a seeded endless order.

    images: uint8 (N, C, H, W), memory-mapped or not. labels: int64 (N,), -1 = unlabelled. balanced: every class
    equally often. mirror, shift (pixels), crop (least share of the side): each batch's pictures are changed at random, on
    the device. room: bytes of pictures that the device may hold.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, seed: int, device: Device, balanced: bool = False,
                 mirror: bool = False, shift: int = 0, crop: float = 1.0, room: int | None = None) -> None:
        self.order = BalancedOrder(torch.from_numpy(np.array(labels)), seed) if balanced else Order(len(images), seed)
        self.seed = seed
        changes: list[tuple[bool, Callable[..., Tensor]]] = [
            (mirror, augment.mirror), (shift > 0, partial(augment.translate, reach=shift, repeat_edge=True)),
            (crop < 1, partial(augment.crop, least=crop))]
        self.changes = [change for is_wanted, change in changes if is_wanted]
        self.device = device.torch_device
        self.images: np.ndarray | Tensor = images
        self.labels: np.ndarray | Tensor = labels
        self.ahead: _Ahead | None = None
        if images.nbytes > (device.room() if room is None else room):
            self.ahead = _Ahead(self)
        elif self.device.type != "cpu":
            self.images = torch.empty(images.shape, dtype=torch.uint8, device=self.device)
            for start in range(0, len(images), ROWS):  # never all of it in the host's memory
                self.images[start:start + ROWS] = torch.from_numpy(np.array(images[start:start + ROWS]))
            self.labels = torch.from_numpy(np.array(labels)).to(self.device)

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        """Batch number `step`: float32 (size, C, H, W) in [-1, 1] and int64 (size,)."""
        images, labels = self.ahead.take(step, size) if self.ahead else self.read(step, size)
        images, labels = as_model_space(images.to(self.device, non_blocking=True)), labels.to(self.device, non_blocking=True)
        if self.changes:
            rng = generator(self.seed, Purpose.AUGMENT, step, self.device)
            for change in self.changes:
                images = change(images, rng=rng)
        return images, labels

    def read(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        """Batch number `step` from where the pictures lie: uint8 (size, C, H, W) and int64 (size,)."""
        return self._rows(self.order.indices(step * size, size))

    def all(self, size: int) -> Iterator[Tensor]:
        """Every picture once, in the order of the array: float32 (up to size, C, H, W)."""
        for start in range(0, self.order.count, size):
            yield as_model_space(self._rows(torch.arange(start, min(start + size, self.order.count)))[0].to(self.device))

    def _rows(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.images, Tensor) and isinstance(self.labels, Tensor):
            chosen = chosen.to(self.device)
            return self.images[chosen], self.labels[chosen]
        rows = chosen.numpy()
        return torch.from_numpy(self.images[rows]), torch.from_numpy(self.labels[rows])


class _Ahead:
    """One thread that reads batch `step + 1` once batch `step` was taken: it alone asks the feed's order."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.thread = ThreadPoolExecutor(1, "reads pictures ahead")
        self.asked: tuple[tuple[int, int], Future[tuple[Tensor, Tensor]]] | None = None

    def take(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        """What `feed.read(step, size)` gives, page-locked where the device is CUDA's."""
        if self.asked is None or self.asked[0] != (step, size):
            self.ask(step, size)
        assert self.asked is not None
        found = self.asked[1].result()
        self.ask(step + 1, size)
        return found

    def ask(self, step: int, size: int) -> None:
        """Have a batch read."""
        self.asked = (step, size), self.thread.submit(self.read, step, size)

    def read(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        images, labels = self.feed.read(step, size)
        return (images.pin_memory(), labels.pin_memory()) if self.feed.device.type == "cuda" else (images, labels)
