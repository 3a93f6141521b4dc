"""The contract of a feature extractor: from pictures to features and class logits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from aigc.core.runtime import Device


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


@torch.inference_mode()
def extract_in_chunks(forward: Callable[[Tensor], tuple[Tensor, Tensor]], images: PictureStack,
                      device: Device, rows: int) -> Features:
    """forward: uint8 (B, C, H, W) on `device` -> features, logits; called on `rows` pictures at a time."""
    parts = []
    with tqdm(total=len(images), disable=None, unit="picture", desc="features", leave=False) as bar:
        for start in range(0, len(images), rows):
            chunk = torch.from_numpy(np.array(images[start:start + rows])).to(device.torch_device)
            parts.append([part.float().cpu().numpy() for part in forward(chunk)])
            bar.update(len(chunk))
    features, logits = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Features(features, logits)
