"""Many pictures in one: a grid, and its PNG."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from aigc.core import files

GAP = 2
GAP_SHADE = 255


def grid(images: np.ndarray, columns: int, gap: int = GAP) -> np.ndarray:
    """uint8 (N, C, H, W), N a multiple of `columns` -> uint8 (rows * (H + gap) + gap, ..., C), row by row."""
    count, channels, height, width = images.shape
    rows = count // columns
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), GAP_SHADE,
                     np.uint8)
    for index, image in enumerate(images[:rows * columns]):
        row, column = divmod(index, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        canvas[top:top + height, left:left + width] = image.transpose(1, 2, 0)
    return canvas


def enlarged(pixels: np.ndarray, scale: int) -> np.ndarray:
    """(H, W, C) -> (scale H, scale W, C): each pixel becomes a square."""
    return pixels.repeat(scale, 0).repeat(scale, 1)


def png(pixels: np.ndarray, scale: int = 1) -> bytes:
    """uint8 (H, W, C) as PNG, each pixel enlarged to a square of `scale`."""
    pixels = enlarged(pixels, scale)
    stream = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(stream, "PNG",
                                                                                  optimize=True)
    return stream.getvalue()


def write_png(path: Path, pixels: np.ndarray, scale: int = 1) -> None:
    """Write uint8 (H, W, C) as PNG, each pixel enlarged to a square of `scale`."""
    files.write_bytes(path, png(pixels, scale))
