"""TIFF files written by construction: the tests know every pixel of them."""

import itertools
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from aigc.data.config import PreprocessConfig
from aigc.data.sources import decoding

SIDE = 28  # of the pictures made here
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
PLAIN, PREMULTIPLIED, UNSPECIFIED = 2, 1, 0  # ExtraSamples
RATIONALS = (529, 532)  # tags; 529 = YCbCrCoefficients, 532 = ReferenceBlackWhite
LONGS = (254, 256, 257, 273, 278, 279, 322, 323, 324, 325, 330, 0x8769)
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def packed(values: np.ndarray, bits: int, order: str) -> bytes:
    """Rows of samples (rows, samples) as a TIFF stores them: each row ends at a byte."""
    if values.dtype.kind == "f":
        return values.astype(f"{order}f{bits // 8}").tobytes()
    if bits in (8, 16, 32, 64):
        return values.astype(f"{order}{'i' if values.min() < 0 else 'u'}{bits // 8}").tobytes()
    single = (values[..., None].astype(np.int64) >> np.arange(bits)[::-1]) & 1
    if bits == 24 and order == "<":
        single = single.reshape(*values.shape, 3, 8)[:, :, ::-1]
    return np.packbits(single.reshape(len(values), -1).astype(np.uint8), axis=1).tobytes()


def difference(values: np.ndarray, bits: int) -> np.ndarray:
    """Predictor 2. values: (rows, columns, samples)."""
    earlier = np.concatenate([np.zeros_like(values[:, :1]), values[:, :-1]], axis=1)
    return (values.astype(np.int64) - earlier) % 2**bits


def page(
    values: np.ndarray,
    bits: int,
    photometric: int,
    *,
    order: str = "<",
    planar: int = 1,
    rows: int = 0,
    tile: int = 0,
    compression: int = 1,
    predictor: int = 1,
    fill: int = 1,
    **tags: Any,
) -> dict[int, Any]:
    """values: (H, W, samples) -> the tags of one page, strips or square tiles under the tag of offsets."""
    height, width, samples = values.shape
    found: dict[int, Any] = {
        254: 0,
        256: width,
        257: height,
        258: [bits] * samples,
        259: compression,
        262: photometric,
        277: samples,
        284: planar,
    }
    parts = []
    rows = rows or height
    for plane in [values] if planar == 1 else [values[..., [sample]] for sample in range(samples)]:
        if tile:
            padded = np.pad(plane, ((0, -height % tile), (0, -width % tile), (0, 0)), mode="edge")
            parts += [
                padded[top : top + tile, left : left + tile]
                for top in range(0, height, tile)
                for left in range(0, width, tile)
            ]
        else:
            parts += [plane[top : top + rows] for top in range(0, height, rows)]
    data = []
    for part in parts:
        part = difference(part, bits) if predictor == 2 else part
        content = packed(part.reshape(len(part), -1), bits, order)
        content = zlib.compress(content) if compression == 8 else content
        data.append(content.translate(REVERSED) if fill == 2 else content)
    found |= {322: tile, 323: tile, 324: data} if tile else {278: rows, 273: data}
    if predictor != 1:
        found[317] = predictor
    if fill != 1:
        found[266] = fill
    return found | {int(name.removeprefix("t")): value for name, value in tags.items()}


def tiff(*pages: Mapping[int, Any], order: str = "<", big: bool = False) -> bytes:
    """The pages, one after the other. Tag 330 holds pages too: its SubIFDs."""
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42))
    out += struct.pack(order + "HHQ", 8, 0, 0) if big else struct.pack(order + "I", 0)
    pointer, offset_type = (8, "Q") if big else (4, "I")
    for one in pages:
        at, pointer_next = directory(out, one, order, big)
        struct.pack_into(order + offset_type, out, pointer, at)
        pointer = pointer_next
    return bytes(out)


def directory(out: bytearray, tags: Mapping[int, Any], order: str, big: bool) -> tuple[int, int]:
    """Append one directory and what it points to. Returns its offset, and that of its pointer to the next."""
    tags = dict(tags)
    for where, lengths in ((273, 279), (324, 325)):
        if where in tags and isinstance(tags[where][0], bytes):
            tags[lengths] = [len(part) for part in tags[where]]
            tags[where] = [append(out, part) for part in tags[where]]
    if 330 in tags:
        tags[330] = [directory(out, sub, order, big)[0] for sub in tags[330]]
    entries = b""
    for tag, value in sorted(tags.items()):
        kind, count, content = encoded(tag, value, order)
        room = 8 if big else 4
        content = (
            content.ljust(room, b"\0")
            if len(content) <= room
            else struct.pack(order + ("Q" if big else "I"), append(out, content))
        )
        entries += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, count) + content
    at = append(out, struct.pack(order + ("Q" if big else "H"), len(tags)) + entries)
    out += bytes(8 if big else 4)
    return at, len(out) - (8 if big else 4)


def encoded(tag: int, value: Any, order: str) -> tuple[int, int, bytes]:
    """(type, count, bytes) of one tag."""
    if isinstance(value, bytes):
        return (2 if value.endswith(b"\0") else 1), len(value), value
    numbers: Sequence[int] = np.ravel(value).tolist()
    if tag in RATIONALS:
        return (
            5,
            len(numbers),
            b"".join(struct.pack(order + "II", round(number * 10000), 10000) for number in numbers),
        )
    letter, kind = ("I", 4) if tag in LONGS else ("H", 3)
    return kind, len(numbers), struct.pack(f"{order}{len(numbers)}{letter}", *numbers)


def append(out: bytearray, content: bytes) -> int:
    """Append at an even offset, and return it."""
    out += bytes(len(out) % 2)
    at = len(out)
    out += content
    return at


KINDS = [  # photometric, samples, bits, extra samples, largest difference (rounding)
    *[
        (photometric, 1, bits, (), 0)
        for photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO)
        for bits in (1, 2, 4, 8, 12, 16)
    ],
    (BLACK_IS_ZERO, 2, 8, (PLAIN,), 1),
    (BLACK_IS_ZERO, 2, 8, (PREMULTIPLIED,), 2),
    (WHITE_IS_ZERO, 2, 8, (PLAIN,), 1),
    *[(RGB, 3, bits, (), 0) for bits in (4, 8, 12, 16)],
    *[(RGB, 4, bits, (kind,), 2) for bits in (8, 16) for kind in (PLAIN, PREMULTIPLIED, UNSPECIFIED)],
    (RGB, 5, 8, (UNSPECIFIED, UNSPECIFIED), 0),
    (RGB, 5, 8, (PLAIN, UNSPECIFIED), 1),
    (CMYK, 4, 8, (), 1),
    (CMYK, 4, 16, (), 1),
    (CMYK, 5, 8, (UNSPECIFIED,), 1),
    (YCBCR, 3, 8, (), 2),
]
LAYOUTS = list(itertools.product("<>", (1, 2), (1, 8), (1, 2), (0, 16), (1, 2)))


def samples(bits: int, count: int, seed: int = 0) -> np.ndarray:
    """Random numbers of so many bits: (SIDE, SIDE, count)."""
    return np.random.default_rng(seed).integers(0, 2**bits, (SIDE, SIDE, count))


def layouts(
    photometric: int, count: int, bits: int, extra: tuple[int, ...]
) -> Iterator[tuple[tuple[Any, ...], np.ndarray, bytes]]:
    """(layout, values, file) for each way to store one picture. layout: byte order, PlanarConfiguration,
    compression, predictor, side of a tile, FillOrder."""
    values = samples(bits, count)
    if PREMULTIPLIED in extra:
        values = np.minimum(values, values[..., -1:])
    tags = ({"t338": extra} if extra else {}) | ({"t530": (1, 1)} if photometric == YCBCR else {})
    for layout in LAYOUTS:
        order, planar, compression, predictor, tile, fill = layout
        if (predictor == 2 and (compression == 1 or bits < 8)) or (planar == 2 and count == 1):
            continue
        one = page(
            values,
            bits,
            photometric,
            order=order,
            planar=planar,
            compression=compression,
            predictor=predictor,
            tile=tile,
            rows=7,
            fill=fill,
            **tags,
        )
        yield layout, values, tiff(one, order=order)


GREY = PreprocessConfig(size=SIDE, channels=1, fit="crop", background=[0, 0, 0])
COLOUR = PreprocessConfig(size=SIDE, channels=3, fit="crop", background=[200, 100, 50])


def decoded(content: bytes, settings: PreprocessConfig = COLOUR) -> np.ndarray:
    """(H, W, C) as integers."""
    return decoding.decode(content, settings).image.transpose(1, 2, 0).astype(int)


def reason(content: bytes) -> str:
    with pytest.raises(decoding.Unusable) as caught:
        decoding.decode(content, COLOUR)
    return str(caught.value)
