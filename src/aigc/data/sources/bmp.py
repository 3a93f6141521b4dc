"""BMP by Pillow, except where its pixels are wrong: run lengths, 2 or 4 bits, two colours in 8 bits.

Microsoft, Bitmap Storage (wingdi.h): headers of 12 to 124 bytes, BI_RLE8, BI_RLE4, BI_BITFIELDS.
"""

import struct
from typing import NamedTuple

import numpy as np
from PIL import Image

from aigc.data.sources import kinds
from aigc.data.sources.contract import Unusable

RAW, RLE8, RLE4, BITFIELDS = range(4)
HEADERS = (12, 40, 52, 56, 64, 108, 124)
MASKS = {  # bits: (red, green, blue, alpha) that Pillow reads
    16: ((0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0)),
    32: ((0xFF0000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0), (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
         (0xFF000000, 0xFF0000, 0xFF00, 0xFF), (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
}
HIGH, LOW = bytes(byte >> 4 for byte in range(256)), bytes(byte & 15 for byte in range(256))


class Header(NamedTuple):
    """upward: the first row is the lowest. palette, pixels: offsets. entry: bytes of a palette colour."""

    width: int
    height: int
    upward: bool
    bits: int
    compression: int
    colours: int
    entry: int
    palette: int
    pixels: int
    masks: tuple[int, ...]


def opened(content: bytes) -> Image.Image:
    """The picture. Raises Unusable."""
    try:
        header = _header(content)
    except struct.error:
        raise Unusable("BMP that ends in its header") from None
    kinds.refuse_a_bomb(header.width, header.height)
    if header.compression == BITFIELDS and header.masks not in MASKS.get(header.bits, ()):
        masks = " ".join(f"{mask:X}" for mask in header.masks)
        raise Unusable(f"BMP of {header.bits} bits with colour masks {masks}")
    if header.compression in (RLE8, RLE4):
        depth = 8 if header.compression == RLE8 else 4
        if header.bits != depth:
            raise Unusable(f"BMP of {header.bits} bits with run lengths of {depth} bits")
        return _with_palette(_run_lengths(content, header), content, header)
    if header.compression not in (RAW, BITFIELDS):
        raise Unusable(f"BMP with compression {header.compression}")
    if header.bits in (2, 4) or (header.bits == 8 and header.colours == 2):
        return _with_palette(_unpacked(content, header), content, header)
    return kinds.opened(content, "BMP")


def _header(content: bytes) -> Header:
    pixels, size = struct.unpack_from("<II", content, 10)
    if size not in HEADERS:
        raise Unusable(f"BMP with a header of {size} bytes")
    compression, colours, masks = RAW, 0, (0, 0, 0, 0)
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", content, 18)
    else:
        width, height, _, bits, compression, _, _, _, colours = struct.unpack_from("<iiHHIIiiI", content, 18)
    if width <= 0 or not height:
        raise Unusable(f"BMP of {width} x {height} pixels")
    if compression == BITFIELDS:
        masks = (*struct.unpack_from("<4I" if size >= 56 else "<3I", content, 54), 0)[:4]
    colours = min(colours, 2**bits) or 2**bits
    entry, palette = 3 if size == 12 else 4, 14 + size
    if pixels <= palette:  # old writers forget the palette
        pixels = palette + entry * colours
    return Header(width, abs(height), height > 0, bits, compression, colours, entry, palette, pixels, masks)


def _with_palette(indices: np.ndarray, content: bytes, header: Header) -> Image.Image:
    """indices: uint8 (H, W), in the order of the file."""
    count = min(header.colours, 256, (header.pixels - header.palette) // header.entry)
    entries = np.frombuffer(content, np.uint8, count * header.entry, header.palette)
    entries = entries.reshape(count, header.entry)
    picture = Image.fromarray(np.ascontiguousarray(indices[::-1] if header.upward else indices))
    picture.putpalette(entries[:, 2::-1].tobytes().ljust(768, b"\0"))
    return picture


def _unpacked(content: bytes, header: Header) -> np.ndarray:
    """Indices of 2, 4 or 8 bits without compression, as `_with_palette` takes them."""
    stride = (header.width * header.bits + 31) // 32 * 4
    if len(content) < header.pixels + stride * header.height:
        raise Unusable("cannot be decoded (BMP that is cut off)")
    rows = np.frombuffer(content, np.uint8, stride * header.height, header.pixels)
    rows = rows.reshape(header.height, stride)
    shifts = np.arange(8 - header.bits, -1, -header.bits, dtype=np.uint8)
    values = (rows[..., None] >> shifts) & np.uint8(2**header.bits - 1)
    return values.reshape(header.height, -1)[:, : header.width]


def _run_lengths(content: bytes, header: Header) -> np.ndarray:
    """Indices of BI_RLE8 or BI_RLE4, as `_with_palette` takes them. What no run covers has index 0."""
    width, height, half = header.width, header.height, header.compression == RLE4
    out, at, x, y = bytearray(width * height), header.pixels, 0, 0
    try:
        while y < height and (at < len(content) or (x, y) != (width, height - 1)):
            count, value = content[at], content[at + 1]
            at += 2
            if count == 0 and value == 0:  # end of line
                x, y = 0, y + 1
                continue
            if count == 0 and value == 1:  # end of bitmap
                break
            if count == 0 and value == 2:  # a step to the right and up
                x, y = x + content[at], y + content[at + 1]
                at += 2
                continue
            if count:
                run = (bytes((value >> 4, value & 15)) if half else bytes((value,))) * count
            else:  # so many pixels as they are, padded to 16 bits
                count, length = value, (value + 1) // 2 if half else value
                part = content[at : at + length]
                if len(part) < length:
                    raise IndexError
                at += length + length % 2
                run = part
                if half:
                    both = bytearray(2 * length)
                    both[::2], both[1::2] = part.translate(HIGH), part.translate(LOW)
                    run = bytes(both)
            if x >= width:
                raise Unusable("BMP with pixels past the end of a row")
            room = min(count, width - x)  # some writers pad their rows
            out[y * width + x : y * width + x + room] = run[:room]
            x += count
    except IndexError:
        raise Unusable("cannot be decoded (BMP that is cut off)") from None
    return np.frombuffer(out, np.uint8).reshape(height, width)
