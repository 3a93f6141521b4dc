"""One file of a picture -> an array of the model's size, or a stated reason why not. Never a crash, never a wait.

The rules: PNG, JPEG, WebP, BMP, TIFF and GIF, by their first bytes and not by their name; the first frame of several; the orientation
of EXIF applied; 1 bit and palette expanded; grey of 16 bits scaled by 255/65535 (of 12 by 255/4095), colour of 16 bits by its high byte;
floats in [0, 1] scaled by 255, others refused; what is transparent composited on `preprocess.background`; CMYK and other colour spaces by
Pillow's conversion, colour profiles ignored; then data/geometry.py.
A picture is refused by the size in its header before a pixel is decoded; a file is read once, whole, and must not change meanwhile.
"""

import io
import os
import re
import stat
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, ImageOps

from aigc.core.errors import DataError
from aigc.data import geometry, manifest
from aigc.data.config import PreprocessConfig
from aigc.data.sources.contract import Block, Rejected

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
MAX_BYTES = 256 << 20
MAX_PIXELS = 89_478_485  # Pillow's own limit: 256 MiB of RGB
DEEPEST_BITS = 16
STRIP = 1 << 22  # pixels that are converted at once: conversions take several times the memory of what they convert
BITS, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # of TIFF
BREAKING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Unusable(Exception):
    """Its text is the reason that stands in the quarantine table."""


class Decoded(NamedTuple):
    """image: uint8 (channels, size, size). The rest is of the file, after EXIF: pixels, and Pillow's mode."""

    image: np.ndarray
    height: int
    width: int
    mode: str


class Task(NamedTuple):
    """Some files of one source: root, the paths under it, a label each, the index of the first in the source."""

    root: str
    paths: list[str]
    labels: list[int]
    first: int
    chosen: PreprocessConfig


def decode_files(task: Task) -> Block:
    """The usable pictures of a task as a block, in its order; the others with their reasons. Runs in a worker process."""
    used: list[tuple[int, Decoded]] = []
    rejected = []
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for place, path in enumerate(task.paths):
            try:
                used.append((place, decode(read_whole(os.path.join(task.root, path)), task.chosen)))  # noqa: PTH118
            except Unusable as reason:
                rejected.append(Rejected(shown(path), str(reason), "decode"))
    size = task.chosen.size
    images = np.empty((len(used), task.chosen.channels, size, size), np.uint8)
    for row, (_, decoded) in enumerate(used):
        images[row] = decoded.image
    places = [place for place, _ in used]
    columns = {"source_index": np.array([task.first + place for place in places], np.int64),
               "path": [shown(task.paths[place]) for place in places],
               "source_height": np.array([decoded.height for _, decoded in used], np.int64),
               "source_width": np.array([decoded.width for _, decoded in used], np.int64),
               "source_mode": [decoded.mode for _, decoded in used]}
    labels = np.array([task.labels[place] for place in places], np.int64)
    return Block(images, labels, {**columns, **manifest.measure(images)} if used else {}, rejected)


def shown(path: str) -> str:
    """A path as valid text in one line: bytes that are no UTF-8 as \\xNN, control characters by their escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return BREAKING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def insist_on_a_file(path: Path) -> None:
    """Raises DataError when there is something under `path` that is no regular file: opening a FIFO would wait for ever."""
    if path.exists() and not path.is_file():
        raise DataError(f"{shown(str(path))}: not a regular file; put the file itself there")


def read_whole(path: str) -> bytes:
    """The bytes of a regular file, read once. Raises Unusable for anything else; never waits for a FIFO or a device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror})") from None
    with os.fdopen(descriptor, "rb") as stream:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise Unusable("not a regular file")
        if not before.st_size:
            raise Unusable("empty: 0 bytes")
        if before.st_size > MAX_BYTES:
            raise Unusable(f"{before.st_size:,} bytes are over {MAX_BYTES:,}")
        try:
            content = stream.read(before.st_size + 1)  # no further: it may grow faster than it is read
        except OSError as error:
            raise Unusable(f"cannot be read ({error.strerror})") from None
        after = os.fstat(descriptor)
    if len(content) != before.st_size or (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise Unusable("changed while it was read")
    return content


def decode(content: bytes, chosen: PreprocessConfig) -> Decoded:
    """The bytes of a file -> a picture at the model's size. Raises Unusable with the reason, whatever the bytes are."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise Unusable(f"{picture.width} x {picture.height} pixels are over {MAX_PIXELS:,} (a decompression bomb?)")
            found = picture.mode
            picture.seek(0)
            picture.load()
            ImageOps.exif_transpose(picture, in_place=True)
            width, height = picture.size
            plain = opaque_in_strips(picture, chosen)
        return Decoded(geometry.to_array(geometry.fitted(plain, chosen)), height, width, found)
    except Unusable:
        raise
    except Image.UnidentifiedImageError:
        raise Unusable("no PNG, JPEG, WebP, BMP, TIFF or GIF by its content") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unusable(f"its header announces over {MAX_PIXELS:,} pixels (a decompression bomb?)") from None
    except Exception as error:  # a decoder on damaged bytes raises anything: SyntaxError, struct.error, KeyError, zlib.error
        raise Unusable(f"cannot be decoded ({_told(error)})") from None


def opaque_in_strips(picture: Image.Image, chosen: PreprocessConfig) -> Image.Image:
    """A loaded picture of any mode as "L" or "RGB" of 8 bits. Raises Unusable where no rule says what its numbers mean."""
    tags = getattr(picture, "tag_v2", {})
    bits, inverted = int(np.ravel(tags.get(BITS, DEEPEST_BITS))[0]), tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
    bits, rows = min(bits, DEEPEST_BITS), max(1, STRIP // picture.width)
    if rows >= picture.height:
        return opaque(picture, chosen, bits, inverted)
    whole = None
    for top in range(0, picture.height, rows):
        strip = opaque(picture.crop((0, top, picture.width, min(top + rows, picture.height))), chosen, bits, inverted)
        whole = whole or Image.new(strip.mode, picture.size)
        whole.paste(strip, (0, top))
    assert whole
    return whole


def opaque(picture: Image.Image, chosen: PreprocessConfig, bits: int, inverted: bool) -> Image.Image:
    """The same at once. bits: of deep grey; inverted: whether its 0 is white."""
    if picture.mode == "F":
        values = np.asarray(picture)
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise Unusable("floating point values outside [0, 1], or NaN")
        return Image.fromarray(np.rint(values * 255).astype(np.uint8))
    if picture.mode.startswith("I"):
        levels = np.asarray(picture).astype(np.int64)
        deepest = 2**bits - 1
        if levels.min() < 0 or levels.max() > deepest:
            raise Unusable(f"integers outside 0 to {deepest}")
        grey = Image.fromarray((((deepest - levels if inverted else levels) * 255 + deepest // 2) // deepest).astype(np.uint8))
        if (see_through := picture.info.get("transparency")) is not None:
            grey.putalpha(Image.fromarray(np.where(levels == see_through, 0, 255).astype(np.uint8)))
        picture = grey
    if picture.has_transparency_data:
        pixels = picture.convert("RGBA")
        sheet = Image.new("RGBA", pixels.size, (*chosen.background, 255))
        return Image.alpha_composite(sheet, pixels).convert("RGB")
    return picture if picture.mode in ("L", "RGB") else picture.convert("L" if picture.mode == "1" else "RGB")


def _told(error: Exception) -> str:
    """An exception as one line without addresses, the same in every process."""
    text = re.sub(r" at 0x[0-9a-f]+|<[^<>]*0x[0-9a-f]+>", "", " ".join(str(error).split()))
    return f"{type(error).__name__}: {text}"[:160].rstrip(": ")
