"""PNG for Pillow: only the chunks that the pixels need, and the orientation.

Pillow refuses a picture because of a damaged text, profile or resolution. But it does not check the checksums
of the pixel data. Here damaged metadata is dropped, and a wrong checksum of pixel data is an error.
"""

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image
from PIL.ExifTags import Base

from aigc.data.sources import kinds
from aigc.data.sources.contract import Unusable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
TRANSPARENCY = b"tRNS"
WITH_ORIENTATION = (b"eXIf", b"tEXtRaw profile type exif\0", b"zTXtRaw profile type exif\0",
                    b"iTXtXML:com.adobe.xmp\0")
MOST_METADATA = 8  # chunks that are searched for an orientation
GREY, COLOUR = 0, 2  # colour types


def opened(content: bytes) -> Image.Image:
    """The picture, not loaded, with no metadata but its orientation. Raises Unusable."""
    kept: list[bytes | memoryview] = [SIGNATURE]
    metadata: list[bytes] = []
    for name, chunk, whole in _chunks(content):
        if name in CRITICAL or name == TRANSPARENCY:
            if len(chunk) >= 12 and not whole:
                raise Unusable(f"PNG with a wrong checksum in chunk {name.decode()}")
            kept.append(chunk)
        elif not name.isalpha():
            raise Unusable("PNG with a damaged chunk (its name is not four letters)")
        elif name[:1].isupper():
            raise Unusable(f"PNG with the critical chunk {name.decode()}, which is not of the standard")
        elif whole and bytes(chunk[4:40]).startswith(WITH_ORIENTATION) and len(metadata) < MOST_METADATA:
            metadata.append(bytes(chunk))
    picture = kinds.opened(content if sum(map(len, kept)) == len(content) else b"".join(kept), "PNG")
    _set_transparency(picture, depth=content[24], colour_type=content[25])
    metadata.sort(key=lambda chunk: chunk[4:8] != b"eXIf")
    turn = next(filter(None, map(_orientation, metadata)), None)
    if turn:
        exif = Image.Exif()
        exif[Base.Orientation] = turn
        picture.info["exif"] = exif.tobytes()
    return picture


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview, bool]]:
    """(name, the chunk with its length and checksum, whether both are right), up to IEND or the end."""
    view, at = memoryview(content), len(SIGNATURE)
    while at + 8 <= len(content):
        length = struct.unpack_from(">I", content, at)[0]
        name, chunk = content[at + 4 : at + 8], view[at : at + 12 + length]
        whole = len(chunk) == 12 + length
        if not whole:
            yield name, chunk[:11], False  # Pillow says that it is cut off
            return
        yield name, chunk, zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])
        if name == b"IEND":
            return
        at += len(chunk)


def _set_transparency(picture: Image.Image, depth: int, colour_type: int) -> None:
    """Scale the transparent shade as Pillow scales the pixels.

    Raises Unusable for 16-bit colour: Pillow keeps 8 bits, in which other colours equal the transparent one.
    """
    shade = picture.info.get("transparency")
    if shade is None:
        return
    if colour_type == COLOUR and depth == 16:
        raise Unusable("PNG with 16-bit colour of which one is transparent; save it with an alpha channel")
    if colour_type == GREY and 1 < depth < 8:  # of 1 bit Pillow scales it itself
        picture.info["transparency"] = shade * 255 // (2**depth - 1)


def _orientation(chunk: bytes) -> int | None:
    """The EXIF orientation (1 to 8) in a chunk, or None. Pillow reads it from a PNG of one pixel."""

    def made(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = made(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    tail = made(b"IDAT", zlib.compress(b"\0\0")) + made(b"IEND", b"")
    try:
        with Image.open(io.BytesIO(SIGNATURE + head + chunk + tail), formats=["PNG"]) as picture:
            found = picture.getexif().get(Base.Orientation)
    except Exception:  # text that is no EXIF raises anything
        return None
    return found if found in range(1, 9) else None
