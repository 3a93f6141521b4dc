"""What a source gives: blocks of pictures of one shape, their columns of the manifest, the refused ones."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aigc.data import manifest


class Unusable(Exception):
    """A file is no picture that can be used. Its text is the reason in the quarantine table."""


@dataclass(frozen=True)
class Rejected:
    """A picture that cannot be used. stage: "find", "label" or "decode"."""

    path: str
    reason: str
    stage: str


@dataclass(frozen=True)
class Block:
    """Some pictures in the order of the source.

    images: uint8 (n, C, H, W). labels: int64 (n,), -1 = unlabelled. columns: those of the manifest that a
    source knows.
    """

    images: np.ndarray
    labels: np.ndarray
    columns: dict[str, Any]
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """A source that is open, its pictures not yet read.

    classes: the name of each label. shape: (C, H, W). found: pictures, used or not. ignored: files that are
    no pictures. left_out: what is not read, by name or suffix. warnings: lines for the user.
    """

    classes: list[str]
    shape: tuple[int, int, int]
    found: int
    blocks: Iterator[Block]
    ignored: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)


def block_of_arrays(images: np.ndarray, labels: np.ndarray, first: int, path: str) -> Block:
    """Rows of an array as a block. images: uint8 (n, C, H, W); first: the index of row 0 in the source."""
    count, channels, height, width = images.shape
    about = {"source_index": first + np.arange(count), "path": [path] * count,
             "source_height": np.full(count, height), "source_width": np.full(count, width),
             "source_mode": [manifest.mode_of(channels)] * count}
    return Block(images, labels.astype(np.int64), {**about, **manifest.measure(images)})
