"""Any picture at the model's size: centre crop, padding or stretching, then Pillow's antialiased bicubic, in
integers.

Antialiased, because resizing without it moves FID more than methods differ (Parmar et al. 2022). Pillow,
because its integer arithmetic is the same on every machine.
"""

import numpy as np
from PIL import Image

from aigc.data.config import PreprocessConfig

OWN = 0  # as size and channels of the settings: those of the picture itself


def own_size(background: list[int]) -> PreprocessConfig:
    """Settings under which `fitted` returns a picture as it is, for pictures that no model of ours must see.

    background: red, green, blue, 0 to 255, under transparent pixels.
    """
    return PreprocessConfig.model_construct(size=OWN, channels=OWN, fit="crop", background=background)


def mode(settings: PreprocessConfig) -> str:
    """Pillow's name of what the model sees."""
    return "L" if settings.channels == 1 else "RGB"


def fitted(picture: Image.Image, settings: PreprocessConfig) -> Image.Image:
    """A grey or RGB picture -> `mode`, size x size. Colour to grey by ITU-R 601."""
    if settings.size == OWN:
        return picture
    picture = picture.convert(mode(settings))
    width, height = picture.size
    square = (settings.size, settings.size)
    if picture.size == square:
        return picture
    if settings.fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        # Cut first: resize's own box would let the pixels around it bleed in.
        return picture.crop((left, top, left + side, top + side)).resize(square, Image.Resampling.BICUBIC)
    if settings.fit == "stretch" or width == height:
        return picture.resize(square, Image.Resampling.BICUBIC)
    longer = max(width, height)
    inner = (max(1, round(width * settings.size / longer)), max(1, round(height * settings.size / longer)))
    padded = Image.new("RGB", square, tuple(settings.background)).convert(mode(settings))
    padded.paste(picture.resize(inner, Image.Resampling.BICUBIC),
                 ((settings.size - inner[0]) // 2, (settings.size - inner[1]) // 2))
    return padded


def to_array(picture: Image.Image) -> np.ndarray:
    """A grey or RGB picture as uint8 (C, H, W)."""
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def fit_array(image: np.ndarray, settings: PreprocessConfig) -> np.ndarray:
    """uint8 (C, H, W) -> uint8 (channels, size, size)."""
    if image.shape == (settings.channels, settings.size, settings.size):
        return image
    picture = Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
    return to_array(fitted(picture, settings))
