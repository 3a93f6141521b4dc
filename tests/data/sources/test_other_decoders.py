"""An independent decoder sees the same pixels: tiff2rgba of libtiff, which is no part of Pillow."""

import io
import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.data.sources import decoding
from tiffs import KINDS, PLAIN, PREMULTIPLIED, decoded, layouts, samples


def run(*command: str, folder: Path) -> bool:
    """Whether the program could."""
    return not subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("tiff2rgba"), reason="tiff2rgba is not installed (Debian: libtiff-tools)"
)
def test_libtiffs_own_program_sees_the_same_pixels(tmp_path: Path) -> None:
    """tiff2rgba converts to RGBA of 8 bits by code of its own: no Pillow, and none of our expectations."""
    compared = 0
    for photometric, count, bits, extra, _ in KINDS:
        if (
            PREMULTIPLIED in extra or PLAIN in extra or bits == 12
        ):  # tiff2rgba premultiplies, and knows no 12 bits
            continue
        for layout, _, content in layouts(photometric, count, bits, extra):
            try:
                found = decoded(content)
            except decoding.Unusable:
                continue
            (tmp_path / "in.tif").write_bytes(content)
            if (
                layout[4] and bits == 16 and count == 1
            ):  # tiff2rgba 4.5 reads the last tiles of such files wrong
                assert run("tiffcp", "-s", "in.tif", "strips.tif", folder=tmp_path)
                (tmp_path / "strips.tif").replace(tmp_path / "in.tif")
            if not run("tiff2rgba", "-c", "none", "-n", "in.tif", "out.tif", folder=tmp_path):
                continue  # CMYK of 16 bits, for one
            with Image.open(io.BytesIO((tmp_path / "out.tif").read_bytes())) as picture:
                other = np.asarray(picture.convert("RGB")).astype(int)
            compared += 1
            assert np.abs(found - other).max() <= 2, (photometric, count, bits, extra, layout)
    assert compared > 300


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("tiff2rgba"), reason="tiff2rgba is not installed (Debian: libtiff-tools)"
)
@pytest.mark.parametrize(
    ("mode", "compression"),
    [
        *itertools.product(
            ["1", "L", "RGB", "P", "CMYK"], ["raw", "tiff_lzw", "packbits", "tiff_adobe_deflate"]
        ),
        ("1", "group3"),
        ("1", "group4"),
        ("1", "tiff_ccitt"),
        ("L", "jpeg"),
        ("RGB", "jpeg"),
        ("CMYK", "jpeg"),
        ("RGB", "zstd"),
        ("RGB", "lzma"),
        ("YCbCr", "raw"),
        ("YCbCr", "tiff_lzw"),
        ("YCbCr", "jpeg"),
    ],
)
def test_libtiffs_own_program_sees_the_same_in_every_compression(
    mode: str, compression: str, tmp_path: Path
) -> None:
    picture = Image.fromarray(samples(8, 3).astype(np.uint8)).convert(mode)
    picture.save(tmp_path / "in.tif", compression=compression)
    found = decoded((tmp_path / "in.tif").read_bytes())
    assert run("tiff2rgba", "-c", "none", "-n", "in.tif", "out.tif", folder=tmp_path)
    with Image.open(tmp_path / "out.tif") as other:
        assert np.abs(found - np.asarray(other.convert("RGB")).astype(int)).max() <= 2
