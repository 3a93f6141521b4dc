"""Randomness as a function of (seed, purpose, step): there is no generator state to save.

torch's CPU generator (mt19937) is seeded by 32 bits. Within one (seed, purpose) distinct steps have distinct seeds.
"""

import hashlib
from enum import StrEnum

import torch


class Purpose(StrEnum):
    """Every stream of random numbers in the project. The texts are hashed: to change one is to change results.

    {} is what the stream is for: the trained network's stream name, a split, a kind of copy.
    """

    INITIAL_WEIGHTS = "initial weights of {}"
    TRAIN = "train {}"
    BATCH_STATISTICS = "statistics of {}"
    CONCLUDE = "conclude {}"
    ORDER = "order"
    ORDER_WITHIN_CLASS = "order within a class"
    ORDER_OF_CLASSES = "order of the classes"
    AUGMENT = "augment"
    SAMPLE = "sample"
    INTERPOLATE = "interpolate"
    FID_INFINITY = "fid_infinity"
    CEILING = "ceiling"
    CELLS = "cells of {}"
    COPYCAT = "copycat by {}"
    OWN_MEASURES = "own measures on {}"
    SIDE = "{}"  # `aigc evaluate`: the order of the real and of the fake pictures


def stream_seed(seed: int, purpose: Purpose, step: int = 0, of: str = "") -> int:
    """The 32-bit seed of one stream of random numbers. of: what fills the {} of the purpose."""
    base = int.from_bytes(hashlib.sha256(f"{seed}/{purpose.format(of)}".encode()).digest()[:4], "little")
    return (base + step) % 2**32


def generator(seed: int, purpose: Purpose, step: int = 0, device: torch.device | str = "cpu",
              of: str = "") -> torch.Generator:
    """A fresh generator for one purpose at one step."""
    return torch.Generator(device).manual_seed(stream_seed(seed, purpose, step, of))


class Order:
    """An endless order over `count` pictures: each epoch is a seeded permutation; any stretch can be asked for."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._epoch, self._permutation = -1, torch.empty(0, dtype=torch.int64)

    def indices(self, start: int, length: int) -> torch.Tensor:
        """Positions start..start+length of the order: int64 (length,). The last permutation is kept, not a state."""
        parts = []
        while length > 0:
            epoch, offset = divmod(start, self.count)
            if epoch != self._epoch:
                self._epoch = epoch
                self._permutation = torch.randperm(self.count, generator=generator(self.seed, Purpose.ORDER, epoch))
            parts.append(self._permutation[offset:offset + length])
            start, length = start + len(parts[-1]), length - len(parts[-1])
        return torch.cat(parts)


class BalancedOrder(Order):
    """An endless order in which every class is equally frequent: each round holds one picture of each, shuffled."""

    def __init__(self, labels: torch.Tensor, seed: int) -> None:
        super().__init__(len(labels), seed)
        self.groups = [torch.nonzero(labels == label).flatten() for label in labels.unique()]
        self.within = [Order(len(group), stream_seed(seed, Purpose.ORDER_WITHIN_CLASS, index)) for index, group in enumerate(self.groups)]
        self.between = Order(len(self.groups), stream_seed(seed, Purpose.ORDER_OF_CLASSES))

    def indices(self, start: int, length: int) -> torch.Tensor:
        positions = torch.arange(start, start + length)
        chosen = self.between.indices(start, length)
        found = torch.empty_like(positions)
        for index, (group, order) in enumerate(zip(self.groups, self.within, strict=True)):
            mine = chosen == index
            rounds = positions[mine] // len(self.groups)
            if len(rounds):
                first, last = int(rounds[0]), int(rounds[-1])
                found[mine] = group[order.indices(first, last - first + 1)[rounds - first]]
        return found
