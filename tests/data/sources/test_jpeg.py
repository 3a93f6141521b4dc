"""Damage beside the pixels of a JPEG costs nothing."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from aigc.data.config import PreprocessConfig
from aigc.data.sources import decoding

SIDE = 28
COLOUR = PreprocessConfig(size=SIDE, channels=3, fit="crop", background=[0, 0, 0])
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
ORIENTATION = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)


def saved(mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    PICTURE.convert(mode).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def exif(*entries: bytes) -> bytes:
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


def with_segments(*segments: bytes, mode: str = "RGB") -> bytes:
    content = saved(mode)
    return content[:2] + b"".join(segments) + content[2:]


def decoded(content: bytes) -> np.ndarray:
    return decoding.decode(content, COLOUR).image.transpose(1, 2, 0)


def plain(mode: str = "RGB") -> np.ndarray:
    with Image.open(io.BytesIO(saved(mode))) as picture:
        return np.asarray(picture.convert("RGB"))


HARMLESS = {
    "EXIF of nothing": segment(0xE1, b"Exif\0\0"),
    "EXIF that is none": segment(0xE1, b"Exif\0\0LoremIpsum"),
    "EXIF within EXIF": segment(0xE1, b"Exif\0\0" + exif()),
    "EXIF cut": segment(0xE1, exif(ORIENTATION)[:20]),
    "orientation of zero": segment(0xE1, exif(ORIENTATION.replace(b"\6", b"\0"))),
    "orientation of nine": segment(0xE1, exif(ORIENTATION.replace(b"\6", b"\x09"))),
    "XMP that is no UTF-8": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x \xa8\xff/>"),
    "short JFIF": segment(0xE0, b"JFIF\0"),
    "short Adobe": segment(0xEE, b"Adobe"),
    "profile cut": segment(0xE2, b"ICC_PROFILE\0\1\2"),
    "profile of zero parts": segment(0xE2, b"ICC_PROFILE\0\0\0junk"),
    "Photoshop cut": segment(0xED, b"Photoshop 3.0\x008BIM\x04"),
    "MPF that is none": segment(0xE2, b"MPF\0II*\0\x08\0\0\0\1\0" + b"\xff" * 12),
    "APP of nothing": segment(0xE5, b""),
    "comments": segment(0xFE, b"x" * 65000) * 3,
    "FlashPix": segment(0xE2, b"FPXR\0junk"),
}


@pytest.mark.parametrize("case", HARMLESS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_damaged_metadata_costs_the_metadata_alone(case: str, mode: str) -> None:
    np.testing.assert_array_equal(decoded(with_segments(HARMLESS[case], mode=mode)), plain(mode))


@pytest.mark.parametrize(
    "beside",
    [b"", segment(0xE2, b"MPF\0junk"), segment(0xE0, b"JFIF\0"), segment(0xED, b"Photoshop 3.0\x008BIM\x04")],
)
@pytest.mark.parametrize(
    "more",
    [b"", struct.pack("<HHII", 0x8769, 4, 1, 0xFFFFFFF0), struct.pack("<HHII", 0x927C, 7, 60000, 2000)],
)
def test_an_orientation_that_can_be_read_is_kept(beside: bytes, more: bytes) -> None:
    entries = (ORIENTATION, more) if more else (ORIENTATION,)
    np.testing.assert_array_equal(
        decoded(with_segments(beside, segment(0xE1, exif(*entries)))), np.rot90(plain(), -1)
    )


def test_what_is_not_read_is_named_as_jpeg() -> None:
    content = bytearray(saved())
    content[content.index(b"\xff\xc0") + 4] = 12  # bits a sample
    with pytest.raises(decoding.Unusable, match="JPEG: cannot be read .*12"):
        decoding.decode(bytes(content), COLOUR)
