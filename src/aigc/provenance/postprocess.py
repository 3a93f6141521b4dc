"""What is done to a picture after a model made it: named steps, each with one value.

They are Pillow's, in integers or single operations on floats, so that equal pictures give equal bytes. The
text of the steps, such as "denoise=0.5 contrast=auto upscale=2", stands in the picture, and makes it again.
They are done in the order of STEPS, whatever the order of the options. Imports neither numpy nor torch.
"""

import math
from collections.abc import Callable

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from aigc.core.errors import ConfigError

UPSCALES = ("2", "4")
AUTO = "auto"
MOST_CONTRAST = 10.0
MEDIAN_SIDE = 3  # pixels

NUMBER = r"(0|[1-9]\d?)(\.\d{1,4})?"
FORM = rf"(?! )(denoise={NUMBER})?((^| )contrast=({AUTO}|{NUMBER}))?((^| )upscale=({'|'.join(UPSCALES)}))?"


def denoised(image: Image.Image, strength: str) -> Image.Image:
    """A blend with the median of the 3 x 3 pixels around each: 1 = that median alone."""
    return Image.blend(image, image.filter(ImageFilter.MedianFilter(MEDIAN_SIDE)), float(strength))


def contrasted(image: Image.Image, factor: str) -> Image.Image:
    """The distance from the mean shade times a factor; auto: darkest to 0, lightest to 255, hues kept."""
    if factor == AUTO:
        return ImageOps.autocontrast(image, preserve_tone=True)
    return ImageEnhance.Contrast(image).enhance(float(factor))


def upscaled(image: Image.Image, factor: str) -> Image.Image:
    """Width and height times `factor`, by Lanczos' filter."""
    size = (image.width * int(factor), image.height * int(factor))
    return image.resize(size, Image.Resampling.LANCZOS)


STEPS: dict[str, Callable[[Image.Image, str], Image.Image]] = {
    "denoise": denoised, "contrast": contrasted, "upscale": upscaled}


def text_of(denoise: float | None = None, contrast: str | None = None, upscale: int | None = None) -> str:
    """The steps as text, "" where there are none.

    denoise: above 0, to 1. contrast: "auto" or a number above 0, to 10. upscale: 2 or 4. Raises ConfigError.
    """
    values: dict[str, str] = {}
    if denoise is not None:
        values["denoise"] = _number("denoise", denoise, 1)
    if contrast is not None:
        values["contrast"] = contrast
        if contrast != AUTO:
            try:
                values["contrast"] = _number("contrast", float(contrast), MOST_CONTRAST)
            except ValueError:
                raise ConfigError(f"--contrast takes a number or `{AUTO}`, found `{contrast}`") from None
    if upscale is not None:
        if str(upscale) not in UPSCALES:
            raise ConfigError(f"--upscale must be {' or '.join(UPSCALES)}, found {upscale}")
        values["upscale"] = str(upscale)
    return " ".join(f"{name}={values[name]}" for name in STEPS if name in values)


def _number(option: str, value: float, most: float) -> str:
    """With at most 4 digits after the point: the rounded number is the one that is used."""
    rounded = round(value, 4) if math.isfinite(value) else 0
    if not 0 < rounded <= most:
        raise ConfigError(f"--{option} must be above 0 and at most {most:g}, found {value:g}")
    return f"{rounded:.4f}".rstrip("0").rstrip(".")


def applied(image: Image.Image, text: str) -> Image.Image:
    """A grey or RGB picture after the steps of `text`, from `text_of`."""
    for step in text.split():
        name, value = step.split("=")
        image = STEPS[name](image, value)
    return image


def enlargement(text: str) -> int:
    """How many times as wide and high the steps make a picture."""
    values = dict(step.split("=") for step in text.split())
    return int(values.get("upscale", 1))
