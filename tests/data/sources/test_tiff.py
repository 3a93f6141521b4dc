"""The pixels of a TIFF are right, or the reason says what is not read. The files are written here."""

import numpy as np
import pytest

from aigc.data.sources import decoding
from tiffs import (
    BLACK_IS_ZERO,
    CMYK,
    COLOUR,
    GREY,
    KINDS,
    LAB,
    PALETTE,
    PLAIN,
    PREMULTIPLIED,
    RGB,
    SIDE,
    WHITE_IS_ZERO,
    YCBCR,
    decoded,
    layouts,
    page,
    reason,
    samples,
    tiff,
)


def composited(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """colour: not premultiplied, (H, W, 3) of 0 to 255; alpha: (H, W, 1) of 0 to 1."""
    return colour * alpha + np.array(COLOUR.background) * (1 - alpha)


def expected(values: np.ndarray, bits: int, photometric: int, extra: tuple[int, ...]) -> np.ndarray:
    """What the numbers mean, by TIFF 6.0 and the rules of decoding.py."""
    most = 2**bits - 1
    if photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO):
        shades = np.rint(
            (most - values[..., :1] if photometric == WHITE_IS_ZERO else values[..., :1]) * 255 / most
        )
        return (
            composited(shades.repeat(3, axis=2), values[..., 1:] / most)
            if PLAIN in extra
            else shades.repeat(3, axis=2)
        )
    if photometric == YCBCR:
        y, blue, red = np.moveaxis(values.astype(float), -1, 0)
        found = [
            y + 1.402 * (red - 128),
            y - 0.344136 * (blue - 128) - 0.714136 * (red - 128),
            y + 1.772 * (blue - 128),
        ]
        return np.clip(np.stack(found, axis=-1), 0, 255)
    high = values >> max(0, bits - 8)
    if photometric == CMYK:
        return (255 - high[..., :3]) * (255 - high[..., 3:4]) / 255
    if PREMULTIPLIED in extra:
        return high[..., :3] + np.array(COLOUR.background) * (1 - high[..., 3:4] / 255)
    return composited(high[..., :3], high[..., 3:4] / 255) if PLAIN in extra else high[..., :3]


ALWAYS_READ = [
    (BLACK_IS_ZERO, 1, 8),
    (WHITE_IS_ZERO, 1, 8),
    (BLACK_IS_ZERO, 1, 1),
    (WHITE_IS_ZERO, 1, 1),
    (BLACK_IS_ZERO, 1, 4),
    (RGB, 3, 8),
]


@pytest.mark.parametrize(("photometric", "count", "bits", "extra", "tolerance"), KINDS)
def test_every_layout_of_every_kind_has_the_right_pixels_or_a_reason(
    photometric: int, count: int, bits: int, extra: tuple[int, ...], tolerance: int
) -> None:
    read = 0
    for layout, values, content in layouts(photometric, count, bits, extra):
        try:
            found = decoded(content)
        except decoding.Unusable as unusable:
            assert str(unusable).startswith(
                (f"TIFF with {bits} bits", "cannot be decoded (OSError: decoder error")
            )
            assert (photometric, count, bits) not in ALWAYS_READ
            continue
        read += 1
        difference = np.abs(found - expected(values, bits, photometric, extra)).max()
        assert difference <= tolerance, layout
    unread = {(BLACK_IS_ZERO, PREMULTIPLIED), (WHITE_IS_ZERO, PLAIN)}
    assert (read > 0) == (
        (photometric, bits) not in {(WHITE_IS_ZERO, 12), (RGB, 4), (RGB, 12)}
        and (photometric, *extra) not in unread
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [RGB, YCBCR])
def test_uncompressed_planes_are_not_noise(photometric: int, order: str) -> None:
    bits = 16 if photometric == RGB else 8
    values, tags = samples(bits, 3), {"t530": (1, 1)} if photometric == YCBCR else {}
    found = decoded(tiff(page(values, bits, photometric, order=order, planar=2, rows=5, **tags), order=order))
    assert np.abs(found - expected(values, bits, photometric, ())).max() <= 2


@pytest.mark.parametrize("compression", [1, 8])
def test_ycbcr_with_fewer_shades_of_colour_is_read(compression: int) -> None:
    """A block of 2 x 2 pixels is stored as four Y, one Cb, one Cr."""
    values = samples(8, 3)
    values[..., 1:] = values[::2, ::2, 1:].repeat(2, axis=0).repeat(2, axis=1)
    blocks = values[..., 0].reshape(14, 2, 14, 2).transpose(0, 2, 1, 3).reshape(14, 14, 4)
    stored = np.concatenate([blocks, values[::2, ::2, 1:]], axis=-1).reshape(14, 1, 84)
    tags = page(stored, 8, YCBCR, compression=compression) | {
        257: SIDE,
        278: SIDE,
        256: SIDE,
        258: [8] * 3,
        277: 3,
        530: (2, 2),
    }
    assert np.abs(decoded(tiff(tags)) - expected(values, 8, YCBCR, ())).max() <= 2


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("scale", [1, 257])
def test_a_colour_map_of_eight_bits_is_not_black(bits: int, scale: int) -> None:
    indices, colours = samples(bits, 1), np.random.default_rng(1).integers(0, 256, (3, 2**bits))
    colours[:, 0] = 255  # at least one entry is over 0
    found = decoded(tiff(page(indices, bits, PALETTE, t320=colours * scale)))
    np.testing.assert_array_equal(found, colours.T[indices[..., 0]])


def test_cielab_is_read_pixel_by_pixel_and_refused_plane_by_plane() -> None:
    """L* of 0, 50 and 100 without colour is black, mid grey and white; +a* is red, -a* green."""
    values = np.zeros((SIDE, SIDE, 3), int)
    values[0:4], values[4:8], values[8:12], values[12:] = (
        (0, 0, 0),
        (255 // 2, 0, 0),
        (255, 0, 0),
        (127, 60, 0),
    )
    found = decoded(tiff(page(values, 8, LAB)))
    np.testing.assert_allclose(found[[0, 4, 8], 0], [[0] * 3, [118.5] * 3, [255] * 3], atol=2)
    assert found[20, 0, 0] > 190 and found[20, 0, 1] < 90
    assert "planar" in reason(tiff(page(values, 8, LAB, planar=2)))


@pytest.mark.parametrize(("photometric", "rising"), [(BLACK_IS_ZERO, True), (WHITE_IS_ZERO, False)])
@pytest.mark.parametrize("compression", [1, 8])
def test_floats_are_scaled_and_their_white_is_white(photometric: int, rising: bool, compression: int) -> None:
    values = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE, 1)
    found = decoded(tiff(page(values, 32, photometric, t339=3, compression=compression)), GREY)[..., 0]
    np.testing.assert_array_equal(
        found, np.rint((values if rising else 1 - values.astype(np.float32)) * 255)[..., 0]
    )


REFUSED: dict[str, tuple[bytes, str]] = {
    "24-bit integers": (tiff(page(samples(24, 1), 24, BLACK_IS_ZERO)), "24 bits a sample"),
    "32-bit integers": (
        tiff(page(samples(8, 1), 32, BLACK_IS_ZERO)),
        "32 bits a sample, grey: no rule says which number is white",
    ),
    "signed bytes": (tiff(page(samples(8, 1) - 128, 8, BLACK_IS_ZERO, t339=2)), "8 signed bits"),
    "signed 16-bit integers": (tiff(page(samples(15, 1), 16, BLACK_IS_ZERO, t339=2)), "16 signed bits"),
    "signed colour": (tiff(page(samples(7, 3), 8, RGB, t339=[2] * 3)), "8 signed bits"),
    "floats of 64 bits": (tiff(page(samples(8, 1) / 255, 64, BLACK_IS_ZERO, t339=3)), "64 float bits"),
    "floats of 16 bits": (tiff(page(samples(8, 1) / 255, 16, BLACK_IS_ZERO, t339=3)), "16 float bits"),
    "colour in floats": (
        tiff(page(samples(8, 3) / 255, 32, RGB, t339=[3] * 3)),
        "32 float bits a sample, RGB",
    ),
    "12-bit colour": (tiff(page(samples(12, 3), 12, RGB)), "12 bits a sample, RGB"),
    "four samples, one of them unknown": (tiff(page(samples(8, 4), 8, RGB)), "4 samples a pixel"),
    "inks that are not CMYK": (tiff(page(samples(8, 4), 8, CMYK, t332=2)), "inks"),
    "planes with premultiplied alpha": (
        tiff(page(samples(8, 4), 8, RGB, planar=2, t338=PREMULTIPLIED)),
        "premultiplied",
    ),
    "planes of grey and alpha": (tiff(page(samples(8, 2), 8, BLACK_IS_ZERO, planar=2, t338=PLAIN)), "planes"),
    "half a colour map": (
        tiff(page(samples(7, 1), 8, PALETTE, t320=np.arange(384))),
        "colour map has 384 entries, not 768",
    ),
    "no photometric": (
        tiff({tag: value for tag, value in page(samples(8, 1), 8, 0).items() if tag != 262}),
        "Photometric",
    ),
    "an unknown compression": (
        tiff(page(samples(8, 1), 8, BLACK_IS_ZERO) | {259: 34712}),
        "compression 34712",
    ),
    "BigTIFF, big-endian": (
        tiff(page(samples(8, 1), 8, BLACK_IS_ZERO, order=">"), order=">", big=True),
        "BigTIFF",
    ),
    "YCbCr of unknown subsampling": (tiff(page(samples(8, 3), 8, YCBCR, compression=8)), "YCbCrSubsampling"),
    "no page": (b"II*\0" + bytes(12), "without a picture"),
    "a directory outside": (b"II*\0\xff\xff\xff\x0f" + bytes(8), "TIFF"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_read_is_named(case: str) -> None:
    content, says = REFUSED[case]
    found = reason(content)
    assert says in found and "no PNG" not in found and "0x" not in found


def test_bigtiff_is_read() -> None:
    values = samples(8, 3)
    np.testing.assert_array_equal(decoded(tiff(page(values, 8, RGB, rows=7), big=True)), values)
