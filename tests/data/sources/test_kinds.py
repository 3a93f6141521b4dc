"""Every file is named by its content; Netpbm is read."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.data.config import PreprocessConfig
from aigc.data.sources import decoding, kinds, listing

SIDE = 28
COLOUR = PreprocessConfig(size=SIDE, channels=3, fit="crop", background=[0, 0, 0])


def saved(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (1, 2, 3)).save(stream, kind)
    return stream.getvalue()


NAMED = {
    "camera raw file (CR3)": b"\0\0\0\x18ftypcrx \0\0\0\1",
    "camera raw file (RAF)": b"FUJIFILMCCD-RAW 0201",
    "(ORF)": b"IIRO\x08\0\0\0",
    "(RW2)": b"IIU\0\x18\0\0\0",
    "(CRW)": b"II\x1a\0\0\0HEAPCCDR\2\0",
    "(MRW)": b"\0MRM\0\0",
    "(X3F)": b"FOVb\0\0",
    "camera raw file (CR2)": b"II*\0\x10\0\0\0CR\2\0" + bytes(20),
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0",
    "HEIF": b"\0\0\0\x18ftypmif1",
    "an AVIF file": saved("AVIF"),
    "a JPEG 2000 file": saved("JPEG2000"),
    "JPEG XL": b"\xff\n\x01",
    "JPEG XL file": b"\0\0\0\x0cJXL \r\n\x87\n",
    "Photoshop": b"8BPS\0\1" + bytes(20),
    "an SVG drawing": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "SVG": b"\xef\xbb\xbf  <svg></svg>",
    "ICO": saved("ICO"),
    "TGA": saved("TGA"),
    "a PCX file": saved("PCX"),
    "OpenEXR": b"v/1\x01\2\0\0\0",
    "Radiance HDR": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n",
    "MP4": b"\0\0\0\x18ftypisom",
    "PDF": b"%PDF-1.7",
    "PFM": b"Pf\n1 1\n-1\n" + bytes(4),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_is_not_read_is_named(name: str) -> None:
    with pytest.raises(decoding.Unusable) as caught:
        decoding.decode(NAMED[name], COLOUR)
    assert name in str(caught.value) and "no PNG" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"BM: no bitmap", b"P5 is a text", b"<html><body></html>", bytes(4000), b"\n\1"],
)
def test_what_is_none_of_them_has_no_name(content: bytes) -> None:
    assert kinds.kind_of(content) == ""


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM"])
def test_what_is_read_has_pillows_name(kind: str) -> None:
    assert kinds.kind_of(saved(kind)) == kind


GREY = np.random.default_rng(0).integers(0, 65536, (SIDE, SIDE))
RGB = np.random.default_rng(0).integers(0, 65536, (SIDE, SIDE, 3))


@pytest.mark.parametrize("most", [1, 15, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize(("magic", "pixels"), [("P2", GREY), ("P5", GREY), ("P3", RGB), ("P6", RGB)])
def test_netpbm_is_scaled_by_its_own_brightest_value(magic: str, pixels: np.ndarray, most: int) -> None:
    values = pixels % (most + 1)
    head = f"{magic}\n# a comment\n{SIDE} {SIDE}\n{most}\n".encode()
    if magic in ("P2", "P3"):
        content = (
            head
            + "\n".join(" ".join(map(str, row)) for row in values.reshape(SIDE, -1).tolist()).encode()
            + b"\n"
        )
    else:
        content = head + values.astype(np.uint8 if most < 256 else ">u2").tobytes()
    found = decoding.decode(content, COLOUR).image.transpose(1, 2, 0)
    expected = values * 255 / most
    assert np.abs(found - (expected if values.ndim == 3 else expected[..., None])).max() <= 0.5


@pytest.mark.parametrize("magic", ["P1", "P4"])
def test_bits_of_netpbm_are_black_where_they_are_set(magic: str) -> None:
    bits = GREY % 2
    rows = (
        np.packbits(bits.astype(np.uint8), axis=1).tobytes()
        if magic == "P4"
        else "\n".join("".join(map(str, row)) for row in bits.tolist()).encode()
    )
    found = decoding.decode(f"{magic}\n{SIDE} {SIDE}\n".encode() + rows, COLOUR).image
    np.testing.assert_array_equal(found[0], (1 - bits) * 255)


@pytest.mark.parametrize(
    "content",
    [
        b"P6\n28 28\n255\n" + bytes(50),
        b"P2\n28 28\n255\n1 2 3",
        b"P5\n28 28\n70000\n" + bytes(5000),
        b"P5\n0 0\n255\n",
    ],
)
def test_damaged_netpbm_has_a_reason(content: bytes) -> None:
    with pytest.raises(decoding.Unusable):
        decoding.decode(content, COLOUR)


def test_netpbm_and_bigtiff_are_found_by_suffix_and_by_content(tmp_path: Path) -> None:
    for name in ("1.pbm", "2.PGM", "3.pnm", "4.ppm"):
        (tmp_path / name).write_bytes(b"any")
    (tmp_path / "5").write_bytes(b"P5\n# a comment\n2 2\n255\nabcd")
    (tmp_path / "6").write_bytes(b"II+\0\x08\0\0\0")
    (tmp_path / "notes").write_bytes(b"P5 is a format")
    found = listing.in_folder(tmp_path)
    assert found.paths == ["1.pbm", "2.PGM", "3.pnm", "4.ppm", "5", "6"] and found.ignored == 1
