"""Any picture at the model's size: centre crop, padding or stretching, then Pillow's antialiased bicubic, in integers.

Antialiased, because resizing without it moves FID more than methods differ (Parmar et al. 2022); Pillow, because its integer
arithmetic is the same on every machine.
"""

import numpy as np
from PIL import Image

from aigc.data.config import PreprocessConfig


def mode(chosen: PreprocessConfig) -> str:
    """Pillow's name of what the model sees."""
    return "L" if chosen.channels == 1 else "RGB"


def fitted(picture: Image.Image, chosen: PreprocessConfig) -> Image.Image:
    """A grey or RGB picture -> `mode`, size x size. Colour to grey by ITU-R 601."""
    picture = picture.convert(mode(chosen))
    width, height = picture.size
    square = (chosen.size, chosen.size)
    if picture.size == square:
        return picture
    if chosen.fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        # Cut first: resize's own box would let the pixels around it bleed in.
        return picture.crop((left, top, left + side, top + side)).resize(square, Image.Resampling.BICUBIC)
    if chosen.fit == "stretch" or width == height:
        return picture.resize(square, Image.Resampling.BICUBIC)
    longer = max(width, height)
    inner = (max(1, round(width * chosen.size / longer)), max(1, round(height * chosen.size / longer)))
    sheet = Image.new("RGB", square, tuple(chosen.background)).convert(mode(chosen))
    sheet.paste(picture.resize(inner, Image.Resampling.BICUBIC), ((chosen.size - inner[0]) // 2, (chosen.size - inner[1]) // 2))
    return sheet


def to_array(picture: Image.Image) -> np.ndarray:
    """A grey or RGB picture as uint8 (C, H, W)."""
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def fit_array(image: np.ndarray, chosen: PreprocessConfig) -> np.ndarray:
    """uint8 (C, H, W) -> uint8 (channels, size, size)."""
    if image.shape == (chosen.channels, chosen.size, chosen.size):
        return image
    picture = Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
    return to_array(fitted(picture, chosen))
