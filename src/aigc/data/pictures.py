"""Pictures on disk: images.npy or its parts (memory-mapped, never loaded whole), labels.npy, classes.json."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from aigc.core import files
from aigc.core.errors import DataError
from aigc.data import parts

UNLABELLED = -1
ORIGIN = "origin.json"


@dataclass(frozen=True)
class Rows:
    """Some rows of an array, read when they are asked for. array: (N, ...). rows: int64 (n,)."""

    array: np.ndarray
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.rows), *self.array.shape[1:]

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def nbytes(self) -> int:
        return len(self.rows) * self.array[:1].nbytes

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, wanted: "slice | np.ndarray | int", /) -> np.ndarray:
        return np.asarray(self.array[self.rows[wanted]])


@dataclass(frozen=True)
class Pictures:
    """images: uint8 (N, C, H, W). labels: int64 (N,), -1 = unlabelled. classes: the name of each label."""

    images: np.ndarray
    labels: np.ndarray
    classes: list[str]

    def __len__(self) -> int:
        return len(self.images)

    def spread(self, size: int) -> "Pictures":
        """As many whole blocks of `size` as there are pictures for, each block spread evenly over all of
        them.

        A folder's pictures are sorted by class: the first block would hold one class.
        """
        blocks = len(self) // size
        if len(self) == size:
            return self
        rows = (np.arange(blocks * size) * len(self) // (blocks * size)).reshape(size, blocks).T.ravel()
        return Pictures(self.images[rows], self.labels[rows], self.classes)

    def only(self, names: Sequence[str]) -> "Pictures":
        """Those of the classes with these names, which all exist; labels and classes stay as they are."""
        kept = np.isin(self.labels, [self.classes.index(name) for name in names])
        rows = np.flatnonzero(kept)
        return Pictures(cast(np.ndarray, Rows(self.images, rows)), self.labels[rows], self.classes)

    def of_classes(self, names: Sequence[str]) -> "Pictures":
        """As `only`, with the classes `names`: label i is the i-th of them."""
        return self.only(names).named(names)

    def named(self, classes: Sequence[str]) -> "Pictures":
        """The same pictures, with labels that are places in `classes`, which holds the name of each."""
        places = [classes.index(name) if name in classes else UNLABELLED for name in self.classes]
        labels = np.array([*places, UNLABELLED], np.int64)[self.labels]  # -1 is the last place
        return Pictures(self.images, labels, list(classes))

    def check(self, place: object) -> "Pictures":
        """Raises DataError, naming `place`, when the three parts do not belong together."""
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise DataError(f"{place}: images must be uint8 (N, C, H, W), found {self.images.dtype} "
                            f"{self.images.shape}")
        if self.labels.shape != (len(self.images),) or self.labels.dtype != np.int64:
            count = len(self.images)
            raise DataError(f"{place}: {count} images need int64 labels of shape ({count},), "
                            f"found {self.labels.dtype} {self.labels.shape}")
        outside = np.flatnonzero((self.labels < UNLABELLED) | (self.labels >= len(self.classes)))
        if len(outside):
            row = int(outside[0])
            raise DataError(f"{place}: label {self.labels[row]} of row {row} is out of range: there are "
                            f"{len(self.classes)} classes (0 to {len(self.classes) - 1}, -1 = unlabelled)")
        return self


def open_folder(folder: Path) -> Pictures:
    """The pictures of one folder, memory-mapped. Raises StorageError or DataError naming what is wrong."""
    labels = np.array(files.map_npy(folder / "labels.npy"))
    return Pictures(parts.open_images(folder, len(labels)), labels,
                    files.read_json(folder / "classes.json")).check(folder)


def write_labels(folder: Path, labels: np.ndarray, classes: list[str]) -> None:
    """Write what is small; the pictures are written by the caller, as a stream (see parts.writing)."""
    files.write_npy(folder / "labels.npy", labels.astype(np.int64))
    files.write_json(folder / "classes.json", classes)


def write_origin(folder: Path, origin: dict[str, str]) -> None:
    """Write where these pictures come from: source, licence, attribution and url, each "" where not stated.
    """
    files.write_json(folder / ORIGIN, origin)


def read_origin(folder: Path) -> dict[str, str]:
    """What `write_origin` wrote. Raises StorageError when it is missing."""
    origin: dict[str, str] = files.read_json(folder / ORIGIN)
    return origin
