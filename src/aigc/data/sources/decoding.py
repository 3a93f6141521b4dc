"""One file of a picture -> an array of the model's size, or a reason why not. Never a crash, never a wait.

PNG, JPEG, WebP, BMP, TIFF, GIF and PPM, by their first bytes and not by their name. The first frame of
several; of a TIFF the first page in full resolution. The orientation of EXIF is applied. 1 bit and palette
are expanded. Grey of 16 bits is scaled by 255/65535 (of 12 by 255/4095); colour of 16 bits keeps its high
byte (PPM is scaled). Floats in [0, 1] are scaled by 255, others refused. What is transparent is composited on
`preprocess.background`. CMYK and other colour spaces by Pillow's conversion, colour profiles ignored. Then
data/geometry.py. Damaged metadata is dropped, the picture is used. What Pillow decodes wrong without an error
is decoded or refused by bmp.py, png.py and tiff.py. A picture is refused by the size in its header before a
pixel is decoded. A file is read once, whole, and must not change meanwhile.
"""

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
from aigc.data.sources import bmp, jpeg, kinds, netpbm, png, tiff
from aigc.data.sources.contract import Block, Rejected, Unusable
from aigc.data.sources.kinds import MAX_PIXELS

__all__ = ["MAX_PIXELS", "Unusable"]  # of this module too, for those who decode
OPENERS = {"PNG": png.opened, "JPEG": jpeg.opened, "BMP": bmp.opened, "TIFF": tiff.opened,
           "PPM": netpbm.opened}
MAX_BYTES = 256 << 20
DEEPEST_BITS = 16
STRIP = 1 << 22  # pixels converted at once: a conversion takes several times the memory of its input
BREAKING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Decoded(NamedTuple):
    """image: uint8 (channels, size, size). The rest is of the file, after EXIF: pixels, and Pillow's mode."""

    image: np.ndarray
    height: int
    width: int
    mode: str


class Task(NamedTuple):
    """Some files of one source: root, paths under it, a label each, the index of the first in the source."""

    root: str
    paths: list[str]
    labels: list[int]
    first: int
    settings: PreprocessConfig


def decode_files(task: Task) -> Block:
    """The usable pictures of a task as a block, in its order; the others with reasons. Runs in a worker."""
    used: list[tuple[int, Decoded]] = []
    rejected = []
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for place, path in enumerate(task.paths):
            try:
                file = os.path.join(task.root, path)  # noqa: PTH118
                used.append((place, decode(read_whole(file), task.settings)))
            except Unusable as reason:
                rejected.append(Rejected(shown(path), str(reason), "decode"))
    size = task.settings.size
    images = np.empty((len(used), task.settings.channels, size, size), np.uint8)
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
    """A path as valid text in one line: bytes that are no UTF-8 as \\xNN, control characters as escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return BREAKING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def insist_on_a_file(path: Path) -> None:
    """Raises DataError if `path` exists and is no regular file: opening a FIFO would wait for ever."""
    if path.exists() and not path.is_file():
        raise DataError(f"{shown(str(path))}: not a regular file; put the file itself there")


def read_whole(path: str) -> bytes:
    """The bytes of a regular file, read once. Raises Unusable for anything else. Never waits for a FIFO."""
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
    same = (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
    if len(content) != before.st_size or not same:
        raise Unusable("changed while it was read")
    return content


def decode(content: bytes, settings: PreprocessConfig) -> Decoded:
    """The bytes of a file -> a picture at the model's size. Raises Unusable with the reason."""
    kind = kinds.kind_of(content)
    if kind not in kinds.READ:
        raise Unusable(kind or "no PNG, JPEG, WebP, BMP, TIFF, GIF or PPM by its content")
    try:
        opened = OPENERS[kind](content) if kind in OPENERS else kinds.opened(content, kind)
        del content  # a picture without its metadata is a copy
        with opened as picture:
            kinds.refuse_a_bomb(picture.width, picture.height)
            found = picture.mode
            picture.load()
            turn(picture)
            width, height = picture.size
            plain = opaque_in_strips(picture, settings)
        return Decoded(geometry.to_array(geometry.fitted(plain, settings)), height, width, found)
    except Unusable:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unusable(f"its header announces over {MAX_PIXELS:,} pixels (a decompression bomb?)") from None
    except Exception as error:  # a decoder raises anything on damaged bytes: SyntaxError, KeyError
        raise Unusable(f"cannot be decoded ({kinds.one_line(error)})") from None


def turn(picture: Image.Image) -> None:
    """Turn a loaded picture as its EXIF says; leave it where that is unreadable."""
    try:
        ImageOps.exif_transpose(picture, in_place=True)
    except MemoryError:
        raise
    except Exception:  # damaged EXIF raises anything. Pillow turns the picture before it writes new EXIF
        pass


def opaque_in_strips(picture: Image.Image, settings: PreprocessConfig) -> Image.Image:
    """A loaded picture of any mode as "L" or "RGB", converted in strips. Raises Unusable as `opaque` does."""
    tags = getattr(picture, "tag_v2", {})
    bits = int(np.ravel(tags.get(tiff.BITS, DEEPEST_BITS))[0])
    inverted = tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO
    bits, rows = min(bits, DEEPEST_BITS), max(1, STRIP // picture.width)
    if rows >= picture.height:
        return opaque(picture, settings, bits, inverted)
    whole = None
    for top in range(0, picture.height, rows):
        part = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        strip = opaque(part, settings, bits, inverted)
        whole = whole or Image.new(strip.mode, picture.size)
        whole.paste(strip, (0, top))
    assert whole
    return whole


def opaque(picture: Image.Image, settings: PreprocessConfig, bits: int, inverted: bool) -> Image.Image:
    """The same for a whole picture. bits: of deep grey; inverted: whether its 0 is white.

    Raises Unusable for floats outside [0, 1] and integers outside 0 to 2**bits - 1.
    """
    if picture.mode == "F":
        values = np.asarray(picture)
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise Unusable("floating point values outside [0, 1], or NaN")
        return Image.fromarray(np.rint((1 - values if inverted else values) * 255).astype(np.uint8))
    if picture.mode.startswith("I"):
        levels = np.asarray(picture).astype(np.int64)
        deepest = 2**bits - 1
        if levels.min() < 0 or levels.max() > deepest:
            raise Unusable(f"integers outside 0 to {deepest}")
        shades = ((deepest - levels if inverted else levels) * 255 + deepest // 2) // deepest
        grey = Image.fromarray(shades.astype(np.uint8))
        if (see_through := picture.info.get("transparency")) is not None:
            grey.putalpha(Image.fromarray(np.where(levels == see_through, 0, 255).astype(np.uint8)))
        picture = grey
    if picture.has_transparency_data:
        pixels = picture.convert("RGBA")
        sheet = Image.new("RGBA", pixels.size, (*settings.background, 255))
        return Image.alpha_composite(sheet, pixels).convert("RGB")
    return picture if picture.mode in ("L", "RGB") else picture.convert("L" if picture.mode == "1" else "RGB")

