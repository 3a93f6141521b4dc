"""The pixels of a BMP are right, or the reason says what is not read. The files are written here."""

import io
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.data.config import PreprocessConfig
from aigc.data.sources import decoding

SIDE = 28
COLOUR = PreprocessConfig(size=SIDE, channels=3, fit="crop", background=[200, 100, 50])
RAW, RLE8, RLE4, BITFIELDS = range(4)
RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
INDICES = {bits: RNG.integers(0, 2**bits, (SIDE, SIDE), dtype=np.uint8) for bits in (1, 2, 4, 8)}


def bmp(
    data: bytes,
    bits: int,
    compression: int = RAW,
    colours: np.ndarray | None = None,
    used: int = 0,
    size: int = 40,
    height: int = SIDE,
    width: int = SIDE,
    masks: tuple[int, ...] = (),
) -> bytes:
    """data: rows as stored. colours: (n, 3) RGB. size: of the header. height: negative for top-down."""
    if size == 12:
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        head = struct.pack(
            "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 2835, 2835, used, 0
        )
        head = struct.pack("<I", size) + head[4:] + b"".join(struct.pack("<I", mask) for mask in masks)
        head = head.ljust(size, b"\0")
    palette = b""
    if colours is not None:
        blue_first = colours[:, ::-1]
        palette = (
            (blue_first if size == 12 else np.pad(blue_first, ((0, 0), (0, 1)))).astype(np.uint8).tobytes()
        )
    start = 14 + len(head) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + head + palette + data


def stored(rows: np.ndarray, upward: bool = True) -> bytes:
    """uint8 (H, bytes of a row) padded to 4 bytes."""
    return np.pad(rows[::-1] if upward else rows, ((0, 0), (0, -rows.shape[1] % 4))).tobytes()


def packed(indices: np.ndarray, bits: int) -> np.ndarray:
    return np.packbits(
        np.unpackbits(indices[..., None], axis=2)[..., 8 - bits :].reshape(len(indices), -1), axis=1
    )


def decoded(content: bytes) -> np.ndarray:
    return decoding.decode(content, COLOUR).image.transpose(1, 2, 0).astype(int)


def absolute(pixels: list[int], half: bool) -> bytes:
    """3 to 255 pixels as they are, padded to 16 bits."""
    if half:
        padded = [*pixels, 0] if len(pixels) % 2 else pixels
        body = bytes(left << 4 | right for left, right in zip(padded[::2], padded[1::2], strict=True))
    else:
        body = bytes(pixels)
    return bytes((0, len(pixels))) + body + bytes(len(body) % 2)


def in_runs(indices: np.ndarray, half: bool, upward: bool = True) -> bytes:
    """Rows as absolute runs of 3 to 7 pixels, which have all lengths modulo 4, and encoded runs of 1 or 2."""
    out = b""
    for row in (indices[::-1] if upward else indices).tolist():
        at, length = 0, 3
        while at < len(row):
            part = row[at : at + length]
            if len(part) >= 3:
                out += absolute(part, half)
            elif len(part) == 2 and half:
                out += bytes((2, part[0] << 4 | part[1]))
            else:
                out += b"".join(bytes((1, value << 4 if half else value)) for value in part)
            at, length = at + len(part), length % 7 + 1
        out += b"\0\0"
    return out + b"\0\1"


@pytest.mark.parametrize("upward", [True, False])
@pytest.mark.parametrize(("bits", "compression"), [(8, RLE8), (4, RLE4)])
@pytest.mark.parametrize("width", [28, 27, 25])
def test_runs_of_odd_length_are_read(bits: int, compression: int, width: int, upward: bool) -> None:
    indices, colours = INDICES[bits][:width, :width], COLOURS[: 2**bits]
    content = bmp(
        in_runs(indices, bits == 4, upward),
        bits,
        compression,
        colours,
        height=width if upward else -width,
        width=width,
    )
    chosen = COLOUR.model_copy(update={"size": 28, "fit": "pad"})
    whole = decoding.decode(content, chosen)
    assert (whole.width, whole.height) == (width, width)
    if width == SIDE:
        np.testing.assert_array_equal(whole.image.transpose(1, 2, 0), colours[indices])
    else:  # the same picture without compression
        plain = bmp(stored(packed(indices, bits)), bits, RAW, colours, height=width, width=width)
        np.testing.assert_array_equal(whole.image, decoding.decode(plain, chosen).image)


@pytest.mark.parametrize(("bits", "compression"), [(8, RLE8), (4, RLE4)])
def test_steps_and_early_ends_leave_the_first_colour(bits: int, compression: int) -> None:
    """The lowest row: 5 pixels, a step of 3 to the right and 2 up, 4 pixels, end of line; end of bitmap."""
    run = (
        bytes((5, 0x11 if bits == 4 else 1))
        + b"\0\2\3\2"
        + bytes((4, 0x22 if bits == 4 else 2))
        + b"\0\0\0\1"
    )
    found = decoded(bmp(run, bits, compression, COLOURS[: 2**bits]))
    expected = np.zeros((SIDE, SIDE), int)
    expected[SIDE - 1, :5], expected[SIDE - 3, 8:12] = 1, 2
    np.testing.assert_array_equal(found, COLOURS[expected])


def test_an_encoded_run_of_four_bits_alternates_two_colours_and_rows_may_be_padded() -> None:
    found = decoded(bmp((bytes((SIDE + 1, 0x37)) + b"\0\0") * SIDE, 4, RLE4, COLOURS[:16]))
    np.testing.assert_array_equal(found, COLOURS[np.tile([3, 7], (SIDE, SIDE // 2))])


def test_the_last_row_needs_no_end() -> None:
    found = decoded(bmp(b"\0\0".join([bytes((SIDE, 9))] * SIDE), 8, RLE8, COLOURS))
    np.testing.assert_array_equal(found, np.broadcast_to(COLOURS[9], (SIDE, SIDE, 3)))


@pytest.mark.parametrize("upward", [True, False])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_are_read_in_both_directions(bits: int, upward: bool) -> None:
    data = stored(packed(INDICES[bits], bits), upward)
    colours = COLOURS[: 2**bits]
    found = decoded(bmp(data, bits, colours=colours, height=SIDE if upward else -SIDE, size=40))
    np.testing.assert_array_equal(found, colours[INDICES[bits]])
    if upward:
        np.testing.assert_array_equal(
            decoded(bmp(data, bits, colours=colours, size=12)), colours[INDICES[bits]]
        )


@pytest.mark.parametrize(
    ("bits", "colours"),
    [
        (8, [[0] * 3, [255] * 3]),
        (4, [[0] * 3, [255] * 3]),
        (4, [[shade] * 3 for shade in range(16)]),
        (2, [[0] * 3, [255] * 3]),
        (8, [[shade] * 3 for shade in range(256)]),
        (1, [[0] * 3, [255] * 3]),
        (1, [[255] * 3, [0] * 3]),
    ],
)
def test_a_grey_palette_is_a_palette(bits: int, colours: list[list[int]]) -> None:
    """Pillow takes such pixels for grey of 1 or 8 bits, whatever bits they have."""
    indices, shades = INDICES[bits] % np.uint16(len(colours)), np.array(colours, np.uint8)
    found = decoded(
        bmp(stored(packed(indices.astype(np.uint8), bits)), bits, colours=shades, used=len(colours))
    )
    np.testing.assert_array_equal(found, shades[indices])


def levels(bits: int) -> np.ndarray:
    return RNG.integers(0, 2**bits, (SIDE, SIDE), dtype=np.uint32)


def placed(values: np.ndarray, mask: int) -> np.ndarray:
    """Values at the place of a mask. values: of the depth of the mask."""
    return values << (mask & -mask).bit_length() - 1 if mask else np.zeros_like(values)


MASKS = [  # bits, header, compression, masks of red, green, blue, alpha
    (16, 40, RAW, (0x7C00, 0x3E0, 0x1F, 0)),
    (16, 40, BITFIELDS, (0xF800, 0x7E0, 0x1F)),
    (16, 40, BITFIELDS, (0x7C00, 0x3E0, 0x1F)),
    (16, 108, BITFIELDS, (0xF800, 0x7E0, 0x1F, 0)),
    (16, 56, BITFIELDS, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    (16, 56, BITFIELDS, (0xF00, 0xF0, 0xF, 0xF000)),
    (16, 40, BITFIELDS, (0x1F, 0x7E0, 0xF800)),
    (16, 40, BITFIELDS, (0xE000, 0x1F00, 0xFF)),
    (32, 40, RAW, (0xFF0000, 0xFF00, 0xFF, 0)),
    (32, 40, BITFIELDS, (0xFF0000, 0xFF00, 0xFF)),
    (32, 40, BITFIELDS, (0xFF, 0xFF00, 0xFF0000)),
    (32, 40, BITFIELDS, (0xFF000000, 0xFF0000, 0xFF00)),
    (32, 40, BITFIELDS, (0x3FF00000, 0xFFC00, 0x3FF)),
    (32, 52, BITFIELDS, (0xFF0000, 0xFF00, 0xFF)),
    (32, 108, BITFIELDS, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    (32, 124, BITFIELDS, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    (32, 124, BITFIELDS, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
    (32, 56, BITFIELDS, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    (32, 108, BITFIELDS, (0xFF000000, 0xFF00, 0xFF, 0xFF0000)),
    (32, 108, BITFIELDS, (0xFF0000, 0xFF00, 0xFF, 0)),
    (32, 40, BITFIELDS, (0, 0, 0)),
    (32, 108, RAW, (0xFF0000, 0xFF00, 0xFF, 0)),
]
READ_MASKS = {
    (0x7C00, 0x3E0, 0x1F),
    (0xF800, 0x7E0, 0x1F),
    (0xFF0000, 0xFF00, 0xFF),
    (0xFF, 0xFF00, 0xFF0000),
    (0xFF000000, 0xFF0000, 0xFF00),
}


@pytest.mark.parametrize(("bits", "size", "compression", "masks"), MASKS)
@pytest.mark.parametrize("upward", [True, False])
def test_masks_are_followed_or_refused(
    bits: int, size: int, compression: int, masks: tuple[int, ...], upward: bool
) -> None:
    depths = [mask.bit_count() for mask in masks]
    values = [levels(depth) if depth else np.zeros((SIDE, SIDE), np.uint32) for depth in depths]
    pixels = sum(placed(value, mask) for value, mask in zip(values, masks, strict=True))
    assert isinstance(pixels, np.ndarray)
    rows = pixels.astype(f"<u{bits // 8}").view(np.uint8).reshape(SIDE, -1)
    content = bmp(
        stored(rows, upward),
        bits,
        compression,
        size=size,
        height=SIDE if upward else -SIDE,
        masks=masks if compression == BITFIELDS else (),
    )
    try:
        found = decoded(content)
    except decoding.Unusable as unusable:
        assert "colour masks" in str(unusable)
        assert masks[:3] not in READ_MASKS or masks[3:] == (0x8000,) or masks == (0xFF, 0xFF00, 0xFF0000)
        return
    colour = np.stack(
        [value * 255 / (2**depth - 1) for value, depth in zip(values[:3], depths, strict=False)], axis=-1
    )
    alpha = values[3][..., None] / 255 if len(masks) > 3 and masks[3] else 1.0
    assert np.abs(found - (colour * alpha + np.array(COLOUR.background) * (1 - alpha))).max() <= 1


REFUSED = {
    "JPEG inside": (bmp(bytes(900), 24, 4), "BMP with compression 4"),
    "alpha fields": (bmp(bytes(4 * SIDE * SIDE), 32, 6), "BMP with compression 6"),
    "run lengths of 4 bits in 8": (
        bmp(b"\0\1", 8, RLE4, COLOURS),
        "BMP of 8 bits with run lengths of 4 bits",
    ),
    "a run in no row": (bmp(bytes((SIDE, 1, 3, 1)), 8, RLE8, COLOURS), "past the end of a row"),
    "runs that stop": (bmp(bytes((SIDE, 1, 0, 0)), 8, RLE8, COLOURS), "cut off"),
    "an absolute run that stops": (bmp(bytes((0, 9, 1)), 8, RLE8, COLOURS), "cut off"),
    "rows that stop": (bmp(bytes(50), 4, RAW, COLOURS[:16]), "cut off"),
    "a strange header": (bmp(bytes(900), 24, size=44), "BMP with a header of 44 bytes"),
    "half a header": (bmp(b"", 8)[:30], "ends in its header"),
    "a bomb of runs": (bmp(b"\0\1", 8, RLE8, COLOURS, height=100_000, width=100_000), "decompression bomb"),
    "no width": (bmp(b"", 8, RLE8, width=0), "0 x 28"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_read_is_named(case: str) -> None:
    content, says = REFUSED[case]
    with pytest.raises(decoding.Unusable, match=says):
        decoding.decode(content, COLOUR)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bmptopnm"), reason="bmptopnm is not installed (Debian: netpbm)")
@pytest.mark.parametrize(("bits", "compression"), [(8, RLE8), (4, RLE4), (4, RAW), (1, RAW), (8, RAW)])
def test_netpbm_sees_the_same_pixels(bits: int, compression: int, tmp_path: Path) -> None:
    data = stored(packed(INDICES[bits], bits)) if compression == RAW else in_runs(INDICES[bits], bits == 4)
    content = bmp(data, bits, compression, COLOURS[: 2**bits])
    done = subprocess.run(["bmptopnm"], input=content, capture_output=True, check=True, cwd=tmp_path)
    with Image.open(io.BytesIO(done.stdout)) as picture:
        np.testing.assert_array_equal(decoded(content), np.asarray(picture.convert("RGB")))
