"""The pictures of a folder: images.npy or, above PART bytes, images-00000.npy, images-00001.npy, ...

Written as a stream, read as one array. Every part but the last has the same number of rows, so that the
number of pictures tells which parts there must be. Not for labels, and not for samples, which are one file.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from aigc.core import files
from aigc.core.errors import StorageError

PART = 1 << 30  # bytes of pictures in a file: small enough to push and fetch in parallel, few enough to open
ONE, SEVERAL = "images.npy", "images-*.npy"
REMEDY = "`dvc checkout` restores it; or delete the folder and run `dvc repro`"


@dataclass(frozen=True)
class Parts:
    """The parts of an array, read as one.

    Indexed by a row, a slice of rows, or rows in any order, and then by slices of the other axes.

    paths: the files. starts: the first row of each, then the number of all rows. offsets: bytes of each
    file's header. row: the shape of one picture. A part is memory-mapped while it is read: no file stays
    open, and the pages do not add up in this process. Pickled, it is its paths.
    """

    paths: tuple[Path, ...]
    starts: tuple[int, ...]
    offsets: tuple[int, ...]
    row: tuple[int, ...]
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.starts[-1], *self.row

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, wanted: "int | slice | list[int] | np.ndarray | tuple[Any, ...]", /) -> np.ndarray:
        """What numpy's indexing of the whole array gives. Raises IndexError, TypeError, StorageError."""
        if isinstance(wanted, tuple):
            if not all(isinstance(axis, slice) for axis in wanted[1:]):
                raise TypeError("after the rows, pictures in parts are indexed by slices alone")
            rows = self[wanted[0]]
            return rows[(*[slice(None)] * (rows.ndim - len(self.row)), *wanted[1:])]
        if isinstance(wanted, slice):
            start, stop, step = wanted.indices(len(self))
            part = int(np.searchsorted(self.starts, start, "right")) - 1
            if step == 1 and start < stop <= self.starts[part + 1]:
                first = self.starts[part]
                return self._mapped(part)[start - first:stop - first]
            return self._gathered(np.arange(start, stop, step))
        rows = np.asarray(wanted)
        if rows.dtype == bool:
            return self._gathered(np.flatnonzero(rows))
        rows = np.where(rows < 0, rows + len(self), rows).astype(np.int64)
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"a row is outside of {len(self)} pictures")
        return self._gathered(rows.ravel()).reshape(*rows.shape, *self.row)

    def __array__(self, dtype: "np.typing.DTypeLike | None" = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def _gathered(self, rows: np.ndarray) -> np.ndarray:
        result = np.empty((len(rows), *self.row), self.dtype)
        part_of_row = np.searchsorted(self.starts, rows, "right") - 1
        for part in np.unique(part_of_row):
            here = part_of_row == part
            result[here] = self._mapped(part)[rows[here] - self.starts[part]]
        return result

    def _mapped(self, part: int) -> np.ndarray:
        shape = (self.starts[part + 1] - self.starts[part], *self.row)
        try:
            return np.asarray(np.memmap(self.paths[part], self.dtype, "r", self.offsets[part], shape))
        except (OSError, ValueError) as error:
            raise StorageError(f"{self.paths[part]}: no longer a whole part ({error}); {REMEDY}") from None


def open_images(folder: Path, count: int | None = None) -> np.ndarray:
    """The pictures of a folder, memory-mapped: an array where they are one file, else Parts.

    count: how many there must be, where that is known. Raises StorageError with the name of a part that is
    missing, damaged, or of other pictures than the first.
    """
    if not any(folder.glob(SEVERAL)):
        return files.map_npy(folder / ONE)
    return cast(np.ndarray, open_parts(folder, count))


def open_parts(folder: Path, count: int | None = None) -> Parts:
    """As `open_images`; one file too is Parts."""
    found = sorted(folder.glob(SEVERAL))
    if not found:
        return _joined([folder / ONE], None)
    if (folder / ONE).exists():
        raise StorageError(f"{folder}: {ONE} beside {found[0].name}; delete the folder and run `dvc repro`")
    first = _opened(folder / _name(0))
    expected = max(len(found), 0 if count is None else math.ceil(count / max(1, len(first))))
    return _joined([folder / _name(part) for part in range(expected)], count)


def _joined(places: list[Path], count: int | None) -> Parts:
    starts, offsets = [0], []
    first = _opened(places[0])
    for part, place in enumerate(places):
        found = _opened(place)
        if found.dtype != first.dtype or found.shape[1:] != first.shape[1:]:
            raise StorageError(f"{place}: {found.dtype} {found.shape[1:]} a picture, {first.dtype} "
                               f"{first.shape[1:]} in {places[0].name}; {REMEDY}")
        rows = len(first) if count is None else min(len(first), max(0, count - starts[-1]))
        if len(found) != rows and (count is not None or part < len(places) - 1):
            raise StorageError(f"{place}: {len(found)} pictures where {rows} belong; {REMEDY}")
        starts.append(starts[-1] + len(found))
        offsets.append(found.offset)
    return Parts(tuple(places), tuple(starts), tuple(offsets), first.shape[1:], first.dtype)


def _opened(place: Path) -> np.memmap:
    return cast(np.memmap, files.map_npy(place))


def _name(part: int) -> str:
    return f"images-{part:05d}.npy"


@contextmanager
def writing(folder: Path, at_most: int, row: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write the pictures of a folder, a few rows at a time: yields a function that appends rows.

    at_most: how many there can be; it decides whether they are one file. row: the shape of one, uint8. All
    parts appear at the end, or none of them does. Raises StorageError with the name of the part.
    """
    rows_a_part = max(1, PART // math.prod(row))
    is_one = at_most <= rows_a_part
    places: list[Path] = []
    is_complete = False
    try:
        with ExitStack() as stack:

            def begin() -> Callable[[np.ndarray], None]:
                places.append(folder / (ONE if is_one else _name(len(places))))
                return stack.enter_context(files.npy_rows(places[-1], (None, *row), np.uint8))

            append_to_part, free = begin(), rows_a_part

            def append(rows: np.ndarray) -> None:
                nonlocal append_to_part, free
                while len(rows) > free and not is_one:
                    append_to_part(rows[:free])
                    rows, append_to_part, free = rows[free:], begin(), rows_a_part
                append_to_part(rows)
                free -= len(rows)

            yield append
            is_complete = True
            for old in {folder / ONE, *folder.glob(SEVERAL)}.difference(places):
                old.unlink(missing_ok=True)
    except BaseException:
        for place in places if is_complete else []:  # some may have been renamed already
            place.unlink(missing_ok=True)
        raise
