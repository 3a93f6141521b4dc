"""TIFF for Pillow: choose the page, and refuse what Pillow reads wrong or not at all.

TIFF 6.0 (Adobe 1992), with the extensions of libtiff and of cameras. tests/data/sources/test_tiff.py compares
Pillow's pixels with files whose pixels are known, for each layout.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from PIL import Image, ImagePalette, TiffImagePlugin

from aigc.data.sources import kinds
from aigc.data.sources.contract import Unusable

Directory = TiffImagePlugin.ImageFileDirectory_v2
NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION = range(254, 260)  # tags
PHOTOMETRIC, FILL_ORDER = 262, 266
MAKE, SAMPLES, PLANAR, COLOUR_MAP, SUB_IFDS, INK_SET = 271, 277, 284, 320, 330, 332
EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING, DNG_VERSION = 338, 339, 530, 50706
REDUCED, MASK = 1, 4  # bits of NewSubfileType
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
PHOTOMETRICS = {WHITE_IS_ZERO: "grey", BLACK_IS_ZERO: "grey", RGB: "RGB", PALETTE: "palette", 4: "mask",
                CMYK: "CMYK", YCBCR: "YCbCr", LAB: "CIELab", 9: "ICCLab", 10: "ITULab", 32844: "LogL",
                32845: "LogLuv"}
SENSOR = (32803, 34892)  # photometrics of camera raw: colour filter array, LinearRaw
CHANNELS = {RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, LAB: 3}
UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # SampleFormat
FORMATS = {UNSIGNED: "", SIGNED: " signed", FLOAT: " float"}
PREMULTIPLIED = 1  # ExtraSamples
JPEG = (6, 7)  # compressions
MOST_PAGES, FIRST_PAGES, MOST_SUBS = 64, 8, 16  # directories that are read: a file may chain any number


class Page(NamedTuple):
    """A directory of the file, and its offset."""

    at: int
    tags: Directory

    def all(self, tag: int, otherwise: int) -> list[int]:
        """The numbers of a tag."""
        return [int(number) for number in np.ravel(self.tags.get(tag, otherwise))]

    def one(self, tag: int, otherwise: int) -> int:
        """The first number of a tag."""
        return (self.all(tag, otherwise) or [otherwise])[0]

    @property
    def is_whole(self) -> bool:
        """Whether it is a picture in full resolution: not a preview, not a mask."""
        return not self.one(NEW_SUBFILE_TYPE, 0) & (REDUCED | MASK) and self.one(SUBFILE_TYPE, 1) != 2

    @property
    def extent(self) -> int:
        """Pixels."""
        return self.one(WIDTH, 0) * self.one(HEIGHT, 0)


def opened(content: bytes) -> Image.Image:
    """The first page in full resolution, not loaded. Raises Unusable."""
    try:
        page = _page(content)
        reason = against(page)
        name = describe(page)
    except Unusable:
        raise
    except Exception as error:  # damaged directories raise anything
        raise Unusable(f"TIFF whose directory cannot be read ({kinds.one_line(error)})") from None
    if reason:
        raise Unusable(f"{name}: {reason}")
    by_libtiff = page.one(PLANAR, 1) == 2 or page.one(PHOTOMETRIC, 0) == YCBCR or page.one(FILL_ORDER, 1) == 2
    with _libtiff_for_all(by_libtiff):
        picture = kinds.opened(_with_first(content, page), "TIFF", name)
    colours = page.all(COLOUR_MAP, 0)
    # Old writers stored 8 bits instead of 16. The test is that of libtiff.
    if page.one(PHOTOMETRIC, 0) == PALETTE and max(colours) < 256:
        picture.palette = ImagePalette.raw("RGB;L", bytes(colours))
    return picture


def _page(content: bytes) -> Page:
    """The first page in full resolution. Raises Unusable for camera raw, and if no page has the picture."""
    pages = _pages(content)
    if not pages:
        raise Unusable("TIFF without a picture")
    subs = [sub for page in pages for sub in _sub_pages(content, page)]
    if any(DNG_VERSION in page.tags for page in pages):
        raise Unusable(kinds.RAW.format("DNG"))
    if any(page.one(PHOTOMETRIC, 0) in SENSOR for page in [*pages, *subs]):
        raise Unusable(kinds.RAW.format("pixels of a sensor in a TIFF, as NEF and ARW have"))
    found = next((page for page in pages if page.is_whole), None)
    largest = max((page.extent for page in [*pages, *subs] if page.is_whole), default=0)
    if MAKE in pages[0].tags and largest > 4 * (found or pages[0]).extent:
        raise Unusable(kinds.RAW.format("a TIFF of a camera, with a preview before the picture"))
    if found is None:
        raise Unusable("TIFF with a reduced picture alone (NewSubfileType 1); save the picture as a page")
    if any(sub.is_whole and sub.extent > found.extent for sub in subs):
        raise Unusable("TIFF with a larger picture in a SubIFD than in its pages; save that one as a page")
    return found


def _pages(content: bytes) -> list[Page]:
    """The pages up to the first in full resolution, at least FIRST_PAGES if there are so many."""
    head = content[:16]
    if head[:4] == b"MM\0+":
        raise Unusable("BigTIFF with big-endian numbers: Pillow does not read it")
    pages: list[Page] = []
    at, seen = Directory(head if head[2] == 43 else head[:8]).next, set[int]()
    while at and at not in seen and len(pages) < MOST_PAGES:
        if len(pages) >= FIRST_PAGES and any(page.is_whole for page in pages):
            break
        seen.add(at)
        try:
            pages.append(Page(at, _directory(content, at)))
        except Exception:  # a damaged directory raises anything
            if not pages:
                raise
            break
        at = pages[-1].tags.next
    return pages


def _sub_pages(content: bytes, page: Page) -> list[Page]:
    """The SubIFDs of a page that can be read."""
    subs = []
    for place in page.all(SUB_IFDS, 0)[:MOST_SUBS] if SUB_IFDS in page.tags else []:
        try:
            subs.append(Page(place, _directory(content, place)))
        except Exception:  # a damaged pointer beside a good picture
            continue
    return subs


def _with_first(content: bytes, page: Page) -> bytes:
    """The file with a page as the first: Pillow cannot go past one that it cannot read."""
    order, big = ("<" if content[:1] == b"I" else ">"), content[2] == 43
    pointer = struct.pack(f"{order}{'Q' if big else 'I'}", page.at)
    start = 8 if big else 4
    if content[start : start + len(pointer)] == pointer:
        return content
    return b"".join((content[:start], pointer, memoryview(content)[start + len(pointer) :]))


def _directory(content: bytes, at: int) -> Directory:
    stream = io.BytesIO(content)
    head = stream.read(16)
    tags = Directory(head if head[2] == 43 else head[:8])
    stream.seek(at)
    tags.load(stream)
    return tags


def describe(page: Page) -> str:
    """As a person would name it: "TIFF with 12 bits a sample, RGB"."""
    bits = "+".join(map(str, dict.fromkeys(page.all(BITS, 1))))
    kind = FORMATS.get(page.one(SAMPLE_FORMAT, UNSIGNED), " undefined")
    photometric = page.one(PHOTOMETRIC, -1)
    colours = PHOTOMETRICS.get(photometric, f"photometric {photometric}")
    parts = [f"TIFF with {bits}{kind} bits a sample", colours]
    if photometric == WHITE_IS_ZERO:
        parts.append("0 is white")
    if EXTRA_SAMPLES in page.tags:
        parts.append(f"{len(page.all(EXTRA_SAMPLES, 0))} extra")
    if page.one(PLANAR, 1) == 2:
        parts.append("planar")
    if page.one(COMPRESSION, 1) != 1:
        method = page.one(COMPRESSION, 1)
        parts.append(TiffImagePlugin.COMPRESSION_INFO.get(method, f"compression {method}"))
    return ", ".join(parts) + (", big-endian" if page.tags.prefix == b"MM" else "")


def against(page: Page) -> str:
    """What in a page Pillow would decode wrong without an error, or "". What Pillow refuses is not listed."""
    photometric, bits, samples = page.one(PHOTOMETRIC, -1), page.all(BITS, 1), page.one(SAMPLES, 1)
    extra = page.all(EXTRA_SAMPLES, 0) if EXTRA_SAMPLES in page.tags else []
    planar = page.one(PLANAR, 1) == 2 and samples > 1
    if photometric < 0:
        return "PhotometricInterpretation is missing, so black and white are unknown"
    if page.one(SAMPLE_FORMAT, UNSIGNED) not in (UNSIGNED, FLOAT):
        return "no rule says which number is black"
    if page.one(SAMPLE_FORMAT, UNSIGNED) == UNSIGNED and max(bits) > 16:
        return "no rule says which number is white"
    if photometric == PALETTE and len(page.all(COLOUR_MAP, 0)) != 3 * 2 ** min(bits[0], 16):
        return f"its colour map has {len(page.all(COLOUR_MAP, 0))} entries, not {3 * 2 ** min(bits[0], 16)}"
    if photometric == CMYK and page.one(INK_SET, 1) != 1:
        return "its inks are not CMYK"
    if photometric == YCBCR and SUBSAMPLING not in page.tags and page.one(COMPRESSION, 1) not in JPEG:
        return "YCbCrSubsampling is missing: the default is 2 x 2, but writers without the tag mean 1 x 1"
    if samples > 1 and samples - len(extra) != CHANNELS.get(photometric, 1):
        return f"{samples} samples a pixel, and no word on what they are"
    if planar and photometric not in (RGB, CMYK, YCBCR):
        return "planes of this colour space are not read"
    if planar and PREMULTIPLIED in extra:
        return "planes with premultiplied alpha are not read"
    return ""


@contextmanager
def _libtiff_for_all(chosen: bool) -> Iterator[None]:
    """While `chosen`, libtiff reads uncompressed pixels too.

    Pillow reads uncompressed planes of 16 bits, YCbCr and FillOrder 2 wrong.
    Not for every file: libtiff holds a whole strip in memory, which is often the whole picture.
    """
    before = TiffImagePlugin.READ_LIBTIFF
    TiffImagePlugin.READ_LIBTIFF = chosen or before
    try:
        yield
    finally:
        TiffImagePlugin.READ_LIBTIFF = before
