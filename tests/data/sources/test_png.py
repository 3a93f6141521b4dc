"""Damage beside the pixels of a PNG costs nothing; damage of the pixels is named."""

import io
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.data.config import PreprocessConfig
from aigc.data.sources import decoding

SIDE = 28
COLOUR = PreprocessConfig(size=SIDE, channels=3, fit="crop", background=[200, 100, 50])
PIXELS = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
SIGNATURE = b"\x89PNG\r\n\x1a\n"
TURN_RIGHT = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x112, 3, 1, 6, 0, 0)  # EXIF with orientation 6


def chunk(name: bytes, data: bytes, right: bool = True) -> bytes:
    checksum = zlib.crc32(name + data) ^ (not right)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


def png(
    rows: np.ndarray,
    depth: int,
    colour_type: int,
    before: bytes = b"",
    after: bytes = b"",
    palette: bytes = b"",
) -> bytes:
    """rows: uint8 (H, bytes of a row). before, after: chunks, by the pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, len(rows), depth, colour_type, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes()))
    return (
        SIGNATURE
        + head
        + (chunk(b"PLTE", palette) if palette else b"")
        + before
        + data
        + after
        + chunk(b"IEND", b"")
    )


def coloured(before: bytes = b"", after: bytes = b"") -> bytes:
    return png(PIXELS.reshape(SIDE, -1), 8, 2, before, after)


def decoded(content: bytes) -> np.ndarray:
    return decoding.decode(content, COLOUR).image.transpose(1, 2, 0)


def reason(content: bytes) -> str:
    with pytest.raises(decoding.Unusable) as caught:
        decoding.decode(content, COLOUR)
    return str(caught.value)


HARMLESS = {
    "EXIF that is none": chunk(b"eXIf", b"LoremIpsum"),
    "EXIF of nothing": chunk(b"eXIf", b""),
    "EXIF cut": chunk(b"eXIf", TURN_RIGHT[:14]),
    "short pHYs": chunk(b"pHYs", b"\0"),
    "short cHRM": chunk(b"cHRM", b"\0\0"),
    "short gAMA": chunk(b"gAMA", b"\0"),
    "profile that is none": chunk(b"iCCP", b"x\0\0junk"),
    "profile with another method": chunk(b"iCCP", b"x\0\7junk"),
    "profile with a wrong checksum": chunk(b"iCCP", b"x\0\0" + zlib.compress(b"profile"), False),
    "raw profile that is none": chunk(b"tEXt", b"Raw profile type exif\0\nexif\n   10\nzzzzzz"),
    "compressed text that is none": chunk(b"zTXt", b"Raw profile type exif\0\0junk"),
    "text with a wrong checksum": chunk(b"tEXt", b"a\0b", False),
    "text bomb": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(9 << 20))),
    "XMP that is no UTF-8": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0\xa8\xff"),
    "private chunk": chunk(b"prVt", b"junk"),
    "short sRGB": chunk(b"sRGB", b""),
    "animation of nothing": chunk(b"acTL", b""),
    "animation cut": chunk(b"fcTL", b"\0"),
    "orientation of nine": chunk(b"eXIf", TURN_RIGHT.replace(b"\1\0\0\0\6", b"\1\0\0\0\x09")),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_damaged_metadata_costs_the_metadata_alone(case: str) -> None:
    np.testing.assert_array_equal(decoded(coloured(before=HARMLESS[case])), PIXELS)
    np.testing.assert_array_equal(decoded(coloured(after=HARMLESS[case])), PIXELS)


def raw_profile(exif: bytes) -> bytes:
    text = b"\nexif\n%8d\n" % len(exif) + exif.hex().encode() + b"\n"
    return b"Raw profile type exif\0" + text


@pytest.mark.parametrize(
    "turning",
    [
        chunk(b"eXIf", TURN_RIGHT),
        chunk(b"eXIf", b"junk") + chunk(b"tEXt", raw_profile(b"Exif\0\0" + TURN_RIGHT)),
        chunk(
            b"zTXt",
            b"Raw profile type exif\0\0"
            + zlib.compress(raw_profile(b"Exif\0\0" + TURN_RIGHT).split(b"\0", 1)[1]),
        ),
        chunk(b"pHYs", b"\0") + chunk(b"eXIf", TURN_RIGHT) + chunk(b"zTXt", b"a\0\0junk"),
    ],
)
def test_an_orientation_that_can_be_read_is_kept(turning: bytes) -> None:
    np.testing.assert_array_equal(decoded(coloured(before=turning)), np.rot90(PIXELS, -1))
    np.testing.assert_array_equal(decoded(coloured(after=turning)), np.rot90(PIXELS, -1))


@pytest.mark.parametrize("name", [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"])
def test_a_wrong_checksum_of_what_makes_pixels_is_named(name: bytes) -> None:
    content = bytearray(png(np.zeros((SIDE, SIDE), np.uint8), 8, 3, chunk(b"tRNS", b"\0"), palette=b"\1\2\3"))
    at = content.index(name)
    content[at + 4 + int.from_bytes(content[at - 4 : at])] ^= 1
    assert reason(bytes(content)) == f"PNG with a wrong checksum in chunk {name.decode()}"


def test_what_else_cannot_be_read_is_named() -> None:
    assert reason(coloured(before=chunk(b"CgBI", b"\0" * 4))).startswith(
        "PNG with the critical chunk CgBI"
    )
    assert "not four letters" in reason(coloured(before=chunk(b"a\0b1", b"")))
    assert reason(png(PIXELS[..., 0], 8, 5)).startswith("PNG: cannot be read")
    assert "cannot be decoded" in reason(coloured()[:-200])
    assert reason(SIGNATURE).startswith("PNG: cannot be read")


def test_an_end_that_is_missing_and_bytes_after_the_end_cost_nothing() -> None:
    np.testing.assert_array_equal(decoded(coloured()[:-12]), PIXELS)
    np.testing.assert_array_equal(decoded(coloured() + b"trailing" * 9), PIXELS)
    np.testing.assert_array_equal(decoded(coloured(after=chunk(b"tEXt", b"a\0b"))[:-17]), PIXELS)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_shade_of_grey_is_composited_at_every_depth(depth: int) -> None:
    most = 2**depth - 1
    values = np.tile([most, most // 3 if depth > 1 else 0], (SIDE, SIDE // 2)).astype(np.int64)
    bits = (values[..., None] >> np.arange(depth)[::-1]) & 1
    content = png(
        np.packbits(bits.reshape(SIDE, -1).astype(np.uint8), axis=1),
        depth,
        0,
        chunk(b"tRNS", struct.pack(">H", most // 3)),
    )
    found = decoded(content)
    assert found[0, 0].tolist() == [255] * 3 and found[0, 1].tolist() == COLOUR.background


def test_the_transparent_colour_is_composited_or_refused() -> None:
    see_through = PIXELS[3, 4].astype(">u2").tobytes()
    found = decoded(coloured(before=chunk(b"tRNS", see_through)))
    assert found[3, 4].tolist() == COLOUR.background and found[0, 0].tolist() == PIXELS[0, 0].tolist()
    rows = (PIXELS.astype(">u2") << 8).view(np.uint8).reshape(SIDE, -1)
    assert "16-bit colour" in reason(png(rows, 16, 2, chunk(b"tRNS", bytes(6))))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pngtopam"), reason="pngtopam is not installed (Debian: netpbm)")
@pytest.mark.parametrize(
    ("depth", "colour_type", "samples"),
    [
        *[(depth, 0, 1) for depth in (1, 2, 4, 8, 16)],
        *[(depth, kind, count) for depth in (8, 16) for kind, count in ((2, 3), (4, 2), (6, 4))],
    ],
)
def test_libpng_sees_the_same_pixels(depth: int, colour_type: int, samples: int, tmp_path: Path) -> None:
    rows = np.random.default_rng(1).integers(
        0, 256, (SIDE, (SIDE * samples * depth + 7) // 8), dtype=np.uint8
    )
    content = png(rows, depth, colour_type)
    done = subprocess.run(
        ["pngtopam", "-background=rgb:c8/64/32", "-mix"] if samples in (2, 4) else ["pngtopam"],
        input=content,
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    reduced = subprocess.run(["pamdepth", "255"], input=done.stdout, capture_output=True, check=True).stdout
    with Image.open(io.BytesIO(reduced)) as picture:
        assert np.abs(decoded(content).astype(int) - np.asarray(picture.convert("RGB"))).max() <= 2
