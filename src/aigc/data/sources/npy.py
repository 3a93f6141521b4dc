"""Pictures in .npy and .npz files, memory-mapped. Nothing is unpickled."""

import shutil
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from aigc.core import files
from aigc.core.errors import DataError
from aigc.data.sources.decoding import insist_on_a_file

ARRAY = "arr_0"  # numpy's name of the first array of an archive
LOCAL_HEADER = 30  # bytes of a zip member's header before its name


class Opened(NamedTuple):
    """images: uint8 (N, C, H, W), C 1 or 3. others: names of the file's other arrays, which are not read."""

    images: np.ndarray
    others: list[str]


def pictures(place: Path) -> Opened:
    """The pictures of a .npy, or of a .npz (its `arr_0`, or its only array): uint8 (N, H, W), (N, C, H, W) or
    (N, H, W, C).

    Raises DataError, naming the file, when it is missing, torn, pickled, of another dtype or of another
    shape.
    """
    images, others = _from_archive(place) if place.suffix.lower() == ".npz" else (mapped(place), [])
    if images.dtype != np.uint8:
        raise DataError(f"{place}: {images.dtype}, not uint8; scale the pictures to 0..255, round, and save "
                        "them as uint8")
    shape = images.shape
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not all(shape):
        raise DataError(f"{place}: shape {shape}; pictures are (N, H, W), (N, C, H, W) or (N, H, W, C) with "
                        "C 1 or 3")
    return Opened(images, others)


def mapped(place: Path) -> np.ndarray:
    """The array of a .npy file. Raises DataError when it is missing, torn or pickled."""
    insist_on_a_file(place)
    try:
        found = np.load(place, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ValueError("an archive of several arrays")
        return found
    except FileNotFoundError:
        raise DataError(f"{place}: no such file; name a .npy of uint8, or a folder of pictures") from None
    except (*files.NOT_NPY, OSError) as error:
        raise _unreadable(place, error) from None


def _from_archive(place: Path) -> Opened:
    """The array of a .npz. A compressed one is unpacked into a temporary file that ends with this process."""
    insist_on_a_file(place)
    try:
        with zipfile.ZipFile(place) as archive:
            held = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            name = ARRAY if ARRAY in held else held[0] if len(held) == 1 else ""
            if not name:
                raise DataError(f"{place}: holds {', '.join(held) or 'no array'}; name the array of pictures "
                                f"{ARRAY}, or save it alone by numpy.save")
            member = archive.getinfo(f"{name}.npy")
            others = [other for other in held if other != name]
            if member.compress_type == zipfile.ZIP_STORED:
                with place.open("rb") as stream:
                    stream.seek(member.header_offset)
                    header = stream.read(LOCAL_HEADER)
                    lengths = struct.unpack("<HH", header[26:30])  # of the name and of the extra field
                    stream.seek(member.header_offset + LOCAL_HEADER + sum(lengths))
                    return Opened(_map_from(stream, member.file_size), others)
            with archive.open(member) as packed, tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(packed, copy)
                copy.seek(0)
                return Opened(_map_from(copy, member.file_size), others)
    except FileNotFoundError:
        raise DataError(f"{place}: no such file; name a .npz or .npy of uint8, or a folder of "
                        "pictures") from None
    except (*files.NOT_NPY, OSError, struct.error, zlib.error, NotImplementedError, RuntimeError) as error:
        raise _unreadable(place, error) from None


def _map_from(stream: IO[bytes], size: int) -> np.ndarray:
    """The array whose `size` bytes of .npy start where the stream stands, memory-mapped."""
    start = stream.tell()
    version = np.lib.format.read_magic(stream)
    form = np.lib.format
    read_header = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
    shape, fortran, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError("Python objects")
    if stream.tell() - start + dtype.itemsize * int(np.prod(shape, dtype=object)) != size:
        raise ValueError("its header announces another size")
    return np.memmap(stream, dtype, "r", stream.tell(), shape, "F" if fortran else "C")


def _unreadable(place: Path, error: Exception) -> DataError:
    pickled = "Python objects" in str(error) or "allow_pickle" in str(error)
    kind = ".npz" if place.suffix.lower() == ".npz" else ".npy"
    torn = f"not a whole {kind} file ({error})"
    reason = "holds Python objects, which are never unpickled" if pickled else torn
    return DataError(f"{place}: {reason}; save an array of uint8 by numpy.save")
