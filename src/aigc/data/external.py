"""Pictures that somebody else made: a folder of picture files or a uint8 .npy, opened without loading it whole."""

import hashlib
import io
import os
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from aigc.core import files
from aigc.core.errors import DataError
from aigc.data.sources.decoding import Unusable, insist_on_a_file, read_whole, shown
from aigc.features.contract import PictureStack
from aigc.provenance import texts as ours

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")  # by their content
MODES = {"L": "L", "1": "L", "RGB": "RGB", "P": "RGB"}


@dataclass(frozen=True)
class Folder:
    """The picture files of one folder, in the order of their names; decoded when asked for. shape: that of the first."""

    paths: tuple[Path, ...]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)"""
        return len(self.paths), *decode(self.paths[0]).shape

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: "slice | np.ndarray", /) -> np.ndarray:
        indices = np.arange(len(self.paths))[rows]
        chunk = np.empty((len(indices), *self.shape[1:]), dtype=np.uint8)
        for place, index in enumerate(indices):
            picture = decode(self.paths[index])
            if picture.shape != self.shape[1:]:
                raise DataError(f"{shown(str(self.paths[index]))}: (channels, height, width) are {picture.shape}, those of {shown(self.paths[0].name)} are "
                                f"{self.shape[1:]}; all pictures must have the same")
            chunk[place] = picture
        return chunk


@dataclass(frozen=True)
class Picked:
    """Some rows of a stack, in a given order: indices int64 (n,)."""

    stack: "Folder | np.ndarray"
    indices: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, C, H, W)"""
        return len(self.indices), *self.stack.shape[1:]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        return self.stack[self.indices[rows]]


def open_pictures(path: Path) -> "Folder | np.ndarray":
    """A folder of pictures, or a .npy of uint8 (N, C, H, W), (N, H, W, C) or (N, H, W). Raises DataError naming what is wrong.

    The contact sheets that `aigc generate` writes beside its pictures are left out.
    """
    if path.is_dir():
        found = tuple(sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and not _is_sheet(file)))
        if not found:
            deeper = "; those of its sub-folders are not looked at" if any(place.is_dir() for place in path.iterdir()) else ""
            raise DataError(f"{path}: no pictures in it; known endings are {', '.join(SUFFIXES)}{deeper}")
        return Folder(found)
    insist_on_a_file(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: does not exist; give a folder of pictures or a uint8 .npy") from None
    except files.NOT_NPY as error:
        pickled = "allow_pickle" in str(error) or "Python objects" in str(error)
        told = "holds Python objects, which are never unpickled" if pickled else "not a whole .npy of numbers"
        raise DataError(f"{path}: {told}; give a folder of pictures or a uint8 .npy") from None
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        raise DataError(f"{path}: must hold uint8, found {getattr(array, 'dtype', 'several arrays')}; scale to 0..255 and round first")
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return array
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return array.transpose(0, 3, 1, 2)
    raise DataError(f"{path}: must be (N, C, H, W), (N, H, W, C) or (N, H, W) of 1 or 3 channels, found {array.shape}")


def _is_sheet(path: Path) -> bool:
    found = ours.examine(path) if "-sheet" in path.stem else None
    return bool(found and found.claim and found.claim.is_sheet)


def decode(path: Path) -> np.ndarray:
    """One picture file as uint8 (1 or 3, H, W), turned as its EXIF says. Raises DataError when it is torn, huge, animated or has transparency."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(read_whole(str(path))), formats=FORMATS) as picture:
                if picture.mode not in MODES or picture.has_transparency_data:
                    raise DataError(f"{shown(str(path))}: pictures of mode {picture.mode} are not judged; save it as grey or RGB, 8 bits a "
                                    "channel, without transparency")
                if getattr(picture, "n_frames", 1) > 1:
                    raise DataError(f"{shown(str(path))}: moves; save the frame that is to be judged as a picture of its own")
                ImageOps.exif_transpose(picture, in_place=True)
                pixels = np.asarray(picture.convert(MODES[picture.mode]))
    except (OSError, SyntaxError, ValueError, Unusable, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{shown(str(path))}: not a whole picture ({' '.join(str(error).split())})") from None
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def sha256(path: Path, pictures: PictureStack) -> str:
    """Of the .npy's bytes, or of the names and bytes of the folder's pictures."""
    if not isinstance(pictures, Folder):
        return files.sha256(path)
    lines = "".join(f"{files.sha256(file)}  {file.name}\n" for file in pictures.paths)
    return hashlib.sha256(os.fsencode(lines)).hexdigest()
