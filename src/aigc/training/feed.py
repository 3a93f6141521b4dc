"""Batches of real images as a function of the step.

On the CPU they come from the memory map. On another device they come from its own memory if all images fit
there, else from the memory map: a thread then reads the next batch while the device computes. Up to WINDOW
bytes of images an epoch is a permutation of all; above, a shuffle of blocks (randomness.BlockOrder).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from aigc.core.randomness import BalancedOrder, BlockOrder, Order, Purpose, generator
from aigc.core.runtime import Device
from aigc.networks import augment
from aigc.networks.blocks import as_model_space

ROWS = 1 << 12  # images copied to the device at a time
# Bytes. Results of sets of more than WINDOW bytes depend on both. Measured on 2 GiB that the page cache did
# not hold: a picture of 3 kB took 5 ms by a permutation of all (the kernel reads ahead), 0.02 ms by blocks.
BLOCK, WINDOW = 1 << 20, 1 << 30


class Feed:
    """Images and labels in a seeded endless order.

    images: uint8 (N, C, H, W), memory-mapped or not. labels: int64 (N,), -1 = unlabelled. balanced: every
    class equally often. mirror, shift (pixels), crop (least share of the side): random augmentation, on the
    device. memory: bytes that the images may take on the device; default `Device.memory_for_images`.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, seed: int, device: Device,
                 balanced: bool = False, mirror: bool = False, shift: int = 0, crop: float = 1.0,
                 memory: int | None = None) -> None:
        self.seed = seed
        self.order = _order(images, labels, seed, balanced)
        self.augmentations: list[Callable[..., Tensor]] = []
        if mirror:
            self.augmentations.append(augment.mirror)
        if shift > 0:
            self.augmentations.append(partial(augment.translate, most=shift, repeat_edge=True))
        if crop < 1:
            self.augmentations.append(partial(augment.crop, least=crop))
        self.device = device.torch_device
        self.images: np.ndarray | Tensor = images
        self.labels: np.ndarray | Tensor = labels
        self.prefetch: _Prefetch | None = None
        if images.nbytes > (device.memory_for_images() if memory is None else memory):
            self.prefetch = _Prefetch(self)
        elif self.device.type != "cpu":
            self.images = torch.empty(images.shape, dtype=torch.uint8, device=self.device)
            for start in range(0, len(images), ROWS):  # so that the host never holds all of them
                self.images[start:start + ROWS] = torch.from_numpy(np.array(images[start:start + ROWS]))
            self.labels = torch.from_numpy(np.array(labels)).to(self.device)

    def batch(self, step: int, size: int, following: int | None = None) -> tuple[Tensor, Tensor]:
        """Batch number `step` on the device: float32 (size, C, H, W) in [-1, 1] and int64 (size,).

        following: the number of the batch that is asked for next, default step + 1. It may be read ahead.
        """
        images, labels = (self.prefetch.get(step, size, step + 1 if following is None else following)
                          if self.prefetch else self.read(step, size))
        images = as_model_space(images.to(self.device, non_blocking=True))
        labels = labels.to(self.device, non_blocking=True)
        if self.augmentations:
            rng = generator(self.seed, Purpose.AUGMENT, step, self.device)
            for augmentation in self.augmentations:
                images = augmentation(images, rng=rng)
        return images, labels

    def read(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        """Batch number `step`, where the images are stored: uint8 (size, C, H, W) and int64 (size,)."""
        return self._rows(self.order.indices(step * size, size))

    def all(self, size: int) -> Iterator[Tensor]:
        """Every image once, in the order of the array: float32 (up to size, C, H, W)."""
        for start in range(0, self.order.count, size):
            rows = torch.arange(start, min(start + size, self.order.count))
            yield as_model_space(self._rows(rows)[0].to(self.device))

    def _rows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.images, Tensor) and isinstance(self.labels, Tensor):
            rows = _pinned(rows, self.device).to(self.device, non_blocking=True)
            return self.images[rows], self.labels[rows]
        indices = rows.numpy()
        return torch.from_numpy(self.images[indices]), torch.from_numpy(self.labels[indices])


def _order(images: np.ndarray, labels: np.ndarray, seed: int, balanced: bool) -> Order:
    kind: Callable[[int, int], Order] = Order
    if images.nbytes > WINDOW:
        size = max(1, images.nbytes // len(images))
        # All classes have a window at the same time.
        window = WINDOW // size // (len(np.unique(labels)) if balanced else 1)
        kind = partial(BlockOrder, block=max(1, BLOCK // size), window=window)
    if balanced:
        return BalancedOrder(torch.from_numpy(np.array(labels)), seed, kind)
    return kind(len(images), seed)


class _Prefetch:
    """A thread that reads batch `step + 1` after batch `step` was taken. Only it uses the feed's order."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.thread = ThreadPoolExecutor(1, "prefetch")
        self.requested: tuple[tuple[int, int], Future[tuple[Tensor, Tensor]]] | None = None

    def get(self, step: int, size: int, following: int) -> tuple[Tensor, Tensor]:
        """The result of `feed.read(step, size)`, pinned for CUDA. Then reads batch number `following`."""
        if self.requested is None or self.requested[0] != (step, size):
            self._request(step, size)
        assert self.requested is not None
        batch = self.requested[1].result()
        self._request(following, size)
        return batch

    def _request(self, step: int, size: int) -> None:
        self.requested = (step, size), self.thread.submit(self._read, step, size)

    def _read(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        images, labels = self.feed.read(step, size)
        return _pinned(images, self.feed.device), _pinned(labels, self.feed.device)


def _pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` in page-locked memory for CUDA: only from there does a copy to the GPU not block the host."""
    return tensor.pin_memory() if device.type == "cuda" else tensor
