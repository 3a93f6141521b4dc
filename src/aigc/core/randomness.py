"""Randomness as a function of (seed, purpose, step): there is no generator state to save.

torch's CPU generator (mt19937) takes a seed of 32 bits. Within one (seed, purpose), different steps have
different seeds.
"""

import hashlib
from collections.abc import Callable
from enum import StrEnum

import torch


class Purpose(StrEnum):
    """Every stream of random numbers in the project. The texts are hashed: a changed text changes results.

    {} stands for the `of` of `stream_seed`: the name of a training's stream, of a split, of a kind of copy.
    """

    INITIAL_WEIGHTS = "initial weights of {}"
    TRAIN = "train {}"
    SHARED = "shared by the shards of {}"
    BATCH_STATISTICS = "statistics of {}"
    CONCLUDE = "conclude {}"
    ORDER = "order"
    ORDER_OF_BLOCKS = "order of blocks"
    ORDER_WITHIN_WINDOW = "order within a window"
    ORDER_WITHIN_CLASS = "order within a class"
    ORDER_OF_CLASSES = "order of the classes"
    AUGMENT = "augment"
    SAMPLE = "sample"
    INTERPOLATE = "interpolate"
    FID_INFINITY = "fid_infinity"
    CEILING = "ceiling"
    RULER = "ruler {}"
    CELLS = "cells of {}"
    SURVEY = "survey"
    COPYCAT = "copycat by {}"
    OWN_MEASURES = "own measures on {}"
    SIDE = "{}"  # `aigc evaluate`: the order of the real pictures, and that of the fake ones


def stream_seed(seed: int, purpose: Purpose, step: int = 0, of: str = "") -> int:
    """The 32-bit seed of one stream of random numbers. of: replaces the {} of the purpose."""
    base = int.from_bytes(hashlib.sha256(f"{seed}/{purpose.format(of)}".encode()).digest()[:4], "little")
    return (base + step) % 2**32


def generator(seed: int, purpose: Purpose, step: int = 0, device: torch.device | str = "cpu",
              of: str = "") -> torch.Generator:
    """A fresh generator for one purpose at one step."""
    return torch.Generator(device).manual_seed(stream_seed(seed, purpose, step, of))


def on_host(rng: torch.Generator) -> torch.Generator:
    """A CPU generator for draws that Python reads: `rng` itself on the CPU, else a new one with its seed.

    To read a number that a GPU drew, the host must wait until the GPU has done all work before it.
    """
    return rng if rng.device.type == "cpu" else torch.Generator().manual_seed(rng.initial_seed())


class Order:
    """An endless order over `count` pictures: each epoch is a seeded permutation.

    Any part can be asked for at once, without the part before it.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._epoch, self._permutation = -1, torch.empty(0, dtype=torch.int64)

    def indices(self, start: int, length: int) -> torch.Tensor:
        """Positions start..start+length of the order: int64 (length,)."""
        parts = []
        while length > 0:
            parts.append(self._following(*divmod(start, self.count))[:length])
            start, length = start + len(parts[-1]), length - len(parts[-1])
        return torch.cat(parts)

    def _following(self, epoch: int, offset: int) -> torch.Tensor:
        """Some pictures from position `offset` of an epoch on, at least one. The last permutation is kept."""
        if epoch != self._epoch:
            self._epoch = epoch
            rng = generator(self.seed, Purpose.ORDER, epoch)
            self._permutation = torch.randperm(self.count, generator=rng)
        return self._permutation[offset:]


class BlockOrder(Order):
    """An endless order whose neighbours lie near each other in the file: for more pictures than memory holds.

    The rows are cut into blocks of `block` (the last may be shorter). An epoch shuffles the blocks and cuts
    them into windows of `window` // block blocks (the last may have fewer); a window shuffles its rows. So:
    - An epoch has each picture exactly once, and epochs are independent of each other.
    - All orders of the blocks are equally likely, and all orders of the rows within a window. If whole blocks
      and windows fill the epoch, each picture is at each of its places with the same probability.
    - Two pictures of a block are never `window` or more positions apart. Two of different blocks share a
      window with probability (w - 1) / (n - 1), for n blocks in windows of w (if w divides n).
    - Memory holds one window's rows and the order of the blocks, whatever the number of pictures.
    """

    def __init__(self, count: int, seed: int, block: int, window: int) -> None:
        super().__init__(count, seed)
        self.block, self.blocks_a_window = block, max(1, window // block)
        self._blocks = self._starts = torch.empty(0, dtype=torch.int64)
        self._window = -1

    def _following(self, epoch: int, offset: int) -> torch.Tensor:
        if epoch != self._epoch:
            self._epoch, self._window = epoch, -1
            rng = generator(self.seed, Purpose.ORDER_OF_BLOCKS, epoch)
            self._blocks = torch.randperm(-(-self.count // self.block), generator=rng)
            last = self._blocks == len(self._blocks) - 1
            sizes = torch.where(last, self.count - self.block * (len(self._blocks) - 1), self.block)
            # The position where each window begins, then the end.
            self._starts = torch.cat([torch.zeros(1, dtype=torch.int64), *(
                part.sum().view(1) for part in sizes.split(self.blocks_a_window))]).cumsum(0)
        window = int(torch.searchsorted(self._starts, offset, right=True)) - 1
        if window != self._window:
            self._window = window
            of_window = self._blocks[window * self.blocks_a_window:(window + 1) * self.blocks_a_window]
            rows = (of_window[:, None] * self.block + torch.arange(self.block)).flatten()
            rows = rows[rows < self.count]
            rng = generator(self.seed, Purpose.ORDER_WITHIN_WINDOW, epoch * (len(self._starts) - 1) + window)
            self._permutation = rows[torch.randperm(len(rows), generator=rng)]
        return self._permutation[offset - int(self._starts[window]):]


class BalancedOrder(Order):
    """An endless order with all classes equally frequent: each round has one picture of each, shuffled.

    within: makes the order of a class, from its number of pictures and a seed.
    """

    def __init__(self, labels: torch.Tensor, seed: int,
                 within: Callable[[int, int], Order] = Order) -> None:
        super().__init__(len(labels), seed)
        self.groups = [torch.nonzero(labels == label).flatten() for label in labels.unique()]
        self.within = [within(len(group), stream_seed(seed, Purpose.ORDER_WITHIN_CLASS, index))
                       for index, group in enumerate(self.groups)]
        self.classes = Order(len(self.groups), stream_seed(seed, Purpose.ORDER_OF_CLASSES))

    def indices(self, start: int, length: int) -> torch.Tensor:
        """As `Order.indices`."""
        positions = torch.arange(start, start + length)
        classes = self.classes.indices(start, length)
        pictures = torch.empty_like(positions)
        for index, (group, order) in enumerate(zip(self.groups, self.within, strict=True)):
            of_class = classes == index
            rounds = positions[of_class] // len(self.groups)
            if len(rounds):
                first, last = int(rounds[0]), int(rounds[-1])
                pictures[of_class] = group[order.indices(first, last - first + 1)[rounds - first]]
        return pictures
