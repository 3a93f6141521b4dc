"""Of the pages of a TIFF the picture itself is taken, turned once; a camera raw file is refused."""

from typing import Any

import numpy as np
import pytest
from PIL import TiffImagePlugin

from tiffs import RGB, YCBCR, decoded, page, reason, samples, tiff

TURNS = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize(
    ("photometric", "planar", "compression"),
    [(RGB, 1, 1), (RGB, 2, 1), (RGB, 1, 8), (YCBCR, 1, 1), (YCBCR, 2, 8)],
)
def test_orientation_is_applied_once(
    orientation: int, photometric: int, planar: int, compression: int
) -> None:
    tags: dict[str, Any] = {"planar": planar, "compression": compression, "t530": (1, 1)}
    straight = decoded(tiff(page(samples(8, 3), 8, photometric, **tags)))
    turned = decoded(tiff(page(samples(8, 3), 8, photometric, t274=orientation, **tags)))
    np.testing.assert_array_equal(turned, TURNS[orientation](straight))


def small(**tags: Any) -> dict[int, Any]:
    """A preview, as cameras and viewers put it first."""
    return page(samples(8, 3, seed=1)[:6, :6], 8, RGB, t254=1, **tags)


@pytest.mark.parametrize("before", [[small()], [small(), small()], [page(samples(1, 1), 1, 4, t254=4)]])
def test_the_first_page_in_full_resolution_is_taken(before: list[dict[int, Any]]) -> None:
    values = samples(8, 3)
    content = tiff(*before, page(values, 8, RGB, compression=8, t274=3), page(samples(8, 3, seed=2), 8, RGB))
    np.testing.assert_array_equal(decoded(content), values[::-1, ::-1])


def test_smaller_copies_after_and_below_the_picture_are_not_minded() -> None:
    values = samples(8, 3)
    np.testing.assert_array_equal(decoded(tiff(page(values, 8, RGB, t330=[small()]), small())), values)
    np.testing.assert_array_equal(
        decoded(tiff(page(values, 8, RGB, t271=b"SCANNER\0"), page(values, 8, RGB))), values
    )


def test_a_preview_without_its_picture_is_refused() -> None:
    assert "reduced picture alone" in reason(tiff(small()))
    assert "SubIFD" in reason(tiff(page(samples(8, 3)[:6, :6], 8, RGB, t330=[page(samples(8, 3), 8, RGB)])))


SENSOR = page(samples(12, 1), 16, 32803)
CAMERAS = {
    "DNG, preview first": tiff(small(t50706=b"\1\4\0\0", t330=[SENSOR])),
    "DNG, sensor first": tiff(page(samples(12, 1), 16, 32803, t50706=b"\1\4\0\0")),
    "DNG, LinearRaw": tiff(page(samples(16, 3), 16, 34892, t50706=b"\1\4\0\0")),
    "NEF": tiff(small(t271=b"NIKON CORPORATION\0", t330=[small(), SENSOR]), order="<"),
    "ARW": tiff(small(t271=b"SONY\0", t330=[SENSOR]), small()),
    "preview that is not marked": tiff(page(samples(8, 3)[:6, :6], 8, RGB, t330=[SENSOR])),
    "sensor in a later page": tiff(page(samples(8, 3)[:6, :6], 8, RGB), SENSOR),
    "later page of a camera": tiff(
        page(samples(8, 3)[:6, :6], 8, RGB, t271=b"Canon\0"), page(samples(8, 3), 8, RGB)
    ),
    "CR2": b"II*\0\x10\0\0\0CR\2\0" + bytes(4) + tiff(small())[16:],
}


@pytest.mark.parametrize("case", CAMERAS)
def test_camera_raw_is_not_used_as_its_preview(case: str) -> None:
    assert reason(CAMERAS[case]).startswith("a camera raw file (")


@pytest.mark.parametrize(
    "tags",
    [
        {"t34665": 5},
        {"t34665": 0xFFFFFFF0},
        {"t330": [{}]},
        {"t700": b"\xff\xfe<x"},
        {"t34675": b"junk"},
        {"t33723": b"junk"},
        {"t34377": b"8BIMjunk"},
        {"t274": 77},
        {"t37510": b"junk"},
        {"t282": 0},
    ],
)
@pytest.mark.parametrize("compression", [1, 8])
def test_damaged_metadata_beside_good_pixels_is_dropped(tags: dict[str, Any], compression: int) -> None:
    values = samples(8, 3)
    np.testing.assert_array_equal(
        decoded(tiff(page(values, 8, RGB, compression=compression, **tags))), values
    )


def test_pillows_switch_for_libtiff_is_left_as_it_was() -> None:
    decoded(tiff(page(samples(16, 3), 16, RGB, planar=2)))
    reason(tiff(page(samples(12, 3), 12, RGB, planar=2)))
    assert not TiffImagePlugin.READ_LIBTIFF
