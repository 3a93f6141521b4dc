"""Any file is a picture at the model's size, or has a reason; nothing crashes, nothing waits."""

import io
import os
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aigc.data.config import PreprocessConfig
from aigc.data.sources import decoding
from tiffs import page, samples, tiff

COLOUR = PreprocessConfig(size=16, channels=3, fit="crop", background=[255, 0, 0])
GREY = PreprocessConfig(size=16, channels=1, fit="crop", background=[255, 255, 255])


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (16, 16), seed: int = 0) -> Image.Image:
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8), mode)


def announcing(width: int, height: int) -> bytes:
    """A PNG whose header says so much, and whose data do not come."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_a_lossless_picture_of_the_models_size_comes_back_bit_for_bit(kind: str) -> None:
    picture = noise()
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    found = decoding.decode(saved(picture, kind, **options), COLOUR)
    np.testing.assert_array_equal(found.image, np.asarray(picture).transpose(2, 0, 1))


def test_exif_orientation_is_applied() -> None:
    picture, exif = noise(size=(16, 16)), Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    found = decoding.decode(saved(picture, "PNG", exif=exif), COLOUR)
    np.testing.assert_array_equal(found.image, np.rot90(np.asarray(picture), -1).transpose(2, 0, 1))


def test_alpha_is_composited_on_the_background() -> None:
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:8] = (0, 0, 200, 255)
    found = decoding.decode(saved(Image.fromarray(pixels)), COLOUR).image
    assert found[:, 0, 0].tolist() == [0, 0, 200]
    assert found[:, 12, 0].tolist() == [255, 0, 0]
    pixels[:] = (0, 0, 0, 128)
    half = decoding.decode(saved(Image.fromarray(pixels)), COLOUR).image[:, 0, 0]
    np.testing.assert_allclose(half, [255 * 127 / 255, 0, 0], atol=1)


def test_a_palette_with_a_transparent_colour_is_composited_too() -> None:
    picture = Image.new("P", (16, 16), 0)
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((3, 3), 1)
    found = decoding.decode(saved(picture, transparency=0), COLOUR).image
    assert found[:, 0, 0].tolist() == [255, 0, 0] and found[:, 3, 3].tolist() == [40, 50, 60]


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.new("1", (16, 16), 1), 255),
        (Image.fromarray(np.full((16, 16), 65535, np.uint16)), 255),
        (Image.fromarray(np.full((16, 16), 32896, np.uint16)), 128),
        (Image.new("LA", (16, 16), (77, 255)), 77),
    ],
)
def test_one_bit_sixteen_bits_and_grey_with_alpha_become_grey(picture: Image.Image, expected: int) -> None:
    assert set(decoding.decode(saved(picture), GREY).image.ravel().tolist()) == {expected}


@pytest.mark.parametrize(("bits", "white_is_zero"), [(12, False), (16, False), (16, True)])
def test_a_deep_grey_tiff_is_scaled_by_its_own_depth_and_its_white_is_white(
    bits: int, white_is_zero: bool
) -> None:
    brightest = 2**bits - 1
    values = np.full((16, 16), 0 if white_is_zero else brightest)
    values[4:] = brightest - values[4:]
    found = decoding.decode(tiff(page(values[..., None], bits, 0 if white_is_zero else 1)), GREY).image[0]
    assert set(found[:4].ravel().tolist()) == {255} and set(found[4:].ravel().tolist()) == {0}


def test_the_transparent_shade_of_a_deep_grey_picture_is_composited() -> None:
    levels = np.full((16, 16), 500, np.uint16)
    levels[8:] = 65535 // 2
    found = decoding.decode(saved(Image.fromarray(levels), transparency=500), COLOUR).image
    assert found[:, 0, 0].tolist() == [255, 0, 0] and found[:, 12, 0].tolist() == [127] * 3


@pytest.mark.parametrize(
    "picture",
    [
        noise("RGBA", (40, 30)),
        noise("L", (40, 30)),
        noise("CMYK", (40, 30)),
        noise("LA", (40, 30)),
        noise("RGB", (40, 30)).quantize(20),
        noise("L", (40, 30)).convert("1"),
        Image.fromarray(np.random.default_rng(0).integers(0, 65536, (30, 40), dtype=np.uint16)),
        Image.fromarray(np.random.default_rng(0).random((30, 40), np.float32)),
    ],
    ids=lambda picture: picture.mode,
)
def test_a_large_picture_is_converted_in_strips_to_the_same_pixels(
    picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = saved(picture, "TIFF" if picture.mode in ("CMYK", "F") else "PNG")
    whole = decoding.decode(content, COLOUR).image
    monkeypatch.setattr(decoding, "STRIP", 7 * 40)
    np.testing.assert_array_equal(decoding.decode(content, COLOUR).image, whole)


def test_cmyk_becomes_the_colour_that_its_inks_leave() -> None:
    found = decoding.decode(saved(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "TIFF"), COLOUR).image[:, 0, 0]
    assert found.tolist() == [0, 255, 255]


def test_colour_becomes_grey_by_its_luma() -> None:
    found = decoding.decode(saved(Image.new("RGB", (16, 16), (200, 100, 50))), GREY).image
    assert abs(int(found[0, 0, 0]) - (0.299 * 200 + 0.587 * 100 + 0.114 * 50)) <= 1


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_the_first_frame_of_an_animation_is_taken(kind: str) -> None:
    frames = [Image.new("L", (16, 16), shade) for shade in (10, 120, 240)]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert set(decoding.decode(content, GREY).image.ravel().tolist()) == {10}


@pytest.mark.parametrize("size", [(1, 1), (20000, 10), (10, 20000)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_picture_of_any_proportion_fits(size: tuple[int, int], fit: Any) -> None:
    chosen = COLOUR.model_copy(update={"fit": fit})
    found = decoding.decode(saved(Image.new("RGB", size, (0, 0, 255))), chosen)
    assert found.image.shape == (3, 16, 16) and (found.width, found.height) == size


def float_tiff(values: np.ndarray) -> bytes:
    return saved(Image.fromarray(values.astype(np.float32)), "TIFF")


BAD = {
    "nothing": (b"", "no PNG, JPEG"),
    "text named .png": (b"hello, this is no picture", "no PNG, JPEG"),
    "truncated PNG": (saved(noise(size=(64, 64)))[:-200], "cannot be decoded"),
    "truncated JPEG": (saved(noise(size=(64, 64)), "JPEG")[:-500], "cannot be decoded"),
    "bomb": (announcing(100_000, 100_000), "decompression bomb"),
    "small bomb": (announcing(10_000, 10_000), "decompression bomb"),
    "announced but absent": (announcing(600, 600), "cannot be decoded"),
    "NaN": (float_tiff(np.full((16, 16), np.nan)), "NaN"),
    "negative": (float_tiff(np.full((16, 16), -0.5)), "outside"),
    "large floats": (float_tiff(np.full((16, 16), 200.0)), "outside"),
    "large integers": (saved(Image.fromarray(np.full((16, 16), 70000, np.int32)), "TIFF"), "32 signed bits"),
    "a format of no use here": (saved(noise(), "SGI"), "no PNG, JPEG"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_bytes_have_a_reason_of_one_line_without_addresses(case: str) -> None:
    content, says = BAD[case]
    with pytest.raises(decoding.Unusable, match=says) as caught:
        decoding.decode(content, COLOUR)
    assert "\n" not in str(caught.value) and "0x" not in str(caught.value)


def test_floats_between_zero_and_one_are_scaled() -> None:
    assert set(decoding.decode(float_tiff(np.full((16, 16), 0.6)), GREY).image.ravel().tolist()) == {153}


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(decoding.Unusable, match="not a regular file"):
        decoding.read_whole(str(tmp_path / "a.png"))


def test_an_empty_and_a_missing_file_have_their_reasons(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(decoding.Unusable, match="0 bytes"):
        decoding.read_whole(str(tmp_path / "a.png"))
    with pytest.raises(decoding.Unusable, match="No such file"):
        decoding.read_whole(str(tmp_path / "b.png"))


def test_a_file_that_changes_while_it_is_read_is_not_used(tmp_path: Path) -> None:
    """A writer appends without pause: a read that meets it must say so, none may give a torn picture."""
    place, whole = tmp_path / "a.png", saved(noise(size=(256, 256)))
    child = os.fork()
    if child == 0:
        try:
            with place.open("wb", buffering=0) as stream:
                while True:
                    stream.write(whole[:4096])
                    if stream.tell() > 8 << 20:
                        stream.truncate(0)
                        stream.seek(0)
        finally:
            os._exit(0)
    try:
        reasons, deadline = set(), time.monotonic() + 20
        while "changed while it was read" not in reasons and time.monotonic() < deadline:
            try:
                decoding.read_whole(str(place))
            except decoding.Unusable as reason:
                reasons.add(str(reason))
        assert "changed while it was read" in reasons
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def with_runs() -> bytes:
    """A BMP of 8 bits with run lengths."""
    plain = saved(noise("L").convert("P"), "BMP")
    pixels = int.from_bytes(plain[10:14], "little")
    rows = b"\x08\x05\0\x05\1\2\3\4\5\0\0\0" * 16
    return plain[:30] + struct.pack("<I", 1) + plain[34:pixels] + rows + b"\0\1"


SEEDS = [
    saved(noise(size=(24, 20))), saved(noise("RGBA", (20, 24))), saved(noise(size=(24, 24)), "JPEG"),
    saved(noise(size=(24, 24)), "WEBP"), saved(noise(size=(24, 24)), "BMP"), with_runs(),
    saved(noise(size=(24, 24)), "TIFF", compression="tiff_lzw"), tiff(page(samples(16, 3), 16, 2, planar=2)),
    tiff(page(samples(8, 3)[:6, :6], 8, 2, t254=1, t330=[{}]), page(samples(8, 1), 8, 3, t320=range(768))),
    saved(noise("L", (24, 24)), "GIF"), saved(noise().convert("P")), saved(noise(), "PPM"),
    saved(Image.fromarray(np.full((9, 9), 500, np.uint16))), b"P5 9 9 1023\n" + bytes(range(162)),
]


def damaged(case: int) -> bytes:
    """Case number `case` of a corpus: cut, bytes flipped, or both."""
    rng = np.random.default_rng(case)
    content = bytearray(SEEDS[case % len(SEEDS)])
    if rng.random() < 0.4:
        del content[int(rng.integers(1, len(content))) :]
    for place in rng.integers(0, len(content), int(rng.integers(0, 9))):
        content[place if rng.random() < 0.5 else place % min(64, len(content))] = int(rng.integers(0, 256))
    return bytes(content)


def fuzz(folder: Path, cases: range) -> None:
    paths = []
    for case in cases:
        paths.append(f"{case}.png")
        (folder / paths[-1]).write_bytes(damaged(case))
    block = decoding.decode_files(decoding.Task(str(folder), paths, [0] * len(paths), 0, COLOUR))
    assert len(block.labels) + len(block.rejected) == len(paths)
    assert block.images.shape == (len(block.labels), 3, 16, 16)
    assert block.rejected and len(block.labels)
    assert all(
        picture.reason and "\n" not in picture.reason and "0x" not in picture.reason
        for picture in block.rejected
    )


def test_damaged_bytes_are_used_or_have_a_reason(tmp_path: Path) -> None:
    fuzz(tmp_path, range(400))


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_used_or_have_a_reason(tmp_path: Path) -> None:
    fuzz(tmp_path, range(400, 10_400))
