"""The contract of a feature extractor: from pictures to features and class logits."""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from aigc.core.runtime import Device

Forward = Callable[[Tensor], tuple[Tensor, Tensor]]  # uint8 (B, C, H, W) on a device -> features, logits
Chunk = tuple[np.ndarray, np.ndarray]  # features, logits


class PictureStack(Protocol):
    """Pictures that need not fit in memory: a slice of them is uint8 (b, C, H, W)."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Features:
    """features: float32 (N, d). logits: float32 (N, classes); (N, 0) if classes are not predicted."""

    features: np.ndarray
    logits: np.ndarray


class FeatureExtractor(Protocol):
    """sha256: of the weights. Numbers of different extractors are not comparable."""

    sha256: str

    def protocol(self) -> dict[str, Any]:
        """The entries of the protocol that describe this extractor."""

    def extract(self, images: PictureStack) -> Features:
        """uint8 (N, C, H, W), mapped or not, in chunks. Raises DataError if the shape does not fit."""


def extract_in_chunks(forward: Forward, images: PictureStack, device: Device, rows: int) -> Features:
    """By a network in this process, on `rows` pictures at a time."""
    return joined(map(functools.partial(of_chunk, forward, device), chunks(images, rows)), len(images))


@torch.inference_mode()
def of_chunk(forward: Forward, device: Device, chunk: np.ndarray) -> Chunk:
    """uint8 (B, C, H, W) -> features, logits: float32 arrays."""
    features, logits = forward(torch.from_numpy(chunk).to(device.torch_device))
    return features.float().cpu().numpy(), logits.float().cpu().numpy()


def chunks(images: PictureStack, rows: int) -> Iterator[np.ndarray]:
    """`rows` pictures at a time."""
    return (np.array(images[start:start + rows]) for start in range(0, len(images), rows))


def joined(parts: Iterable[Chunk], count: int) -> Features:
    """The chunks of `count` pictures as one, with a bar while they come."""
    taken = []
    with tqdm(total=count, disable=None, unit="picture", desc="features", leave=False) as bar:
        for part in parts:
            taken.append(part)
            bar.update(len(part[0]))
    features, logits = (np.concatenate(column) for column in zip(*taken, strict=True))
    return Features(features, logits)
