"""Any picture fits the model by the rule that params.yaml states."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from aigc.data import geometry
from aigc.data.config import PreprocessConfig


def chosen(fit: Any = "crop", channels: Any = 3) -> PreprocessConfig:
    return PreprocessConfig(size=16, channels=channels, fit=fit, background=[9, 99, 199])


def striped() -> np.ndarray:
    """32 x 64: a red left quarter, a green middle, a blue right quarter."""
    pixels = np.zeros((3, 32, 64), np.uint8)
    pixels[0, :, :16], pixels[1, :, 16:48], pixels[2, :, 48:] = 255, 255, 255
    return pixels


def test_crop_keeps_the_middle() -> None:
    found = geometry.fit_array(striped(), chosen("crop"))
    assert (found[1] == 255).all() and not found[0].any() and not found[2].any()


def test_pad_keeps_everything_and_surrounds_it_by_the_background() -> None:
    found = geometry.fit_array(striped(), chosen("pad"))
    assert found[:, 0, 0].tolist() == [9, 99, 199] and found[:, 15, 8].tolist() == [9, 99, 199]
    assert found[:, 8, 0].tolist() == [255, 0, 0] and found[:, 8, 15].tolist() == [0, 0, 255]


def test_stretch_keeps_everything_and_fills_the_square() -> None:
    found = geometry.fit_array(striped(), chosen("stretch"))
    assert found[:, 0, 0].tolist() == [255, 0, 0] and found[:, 15, 15].tolist() == [0, 0, 255]


def test_resizing_is_antialiased() -> None:
    checks = np.uint8(255 * (np.indices((128, 128)).sum(0) % 2))[None]
    assert geometry.fit_array(checks, chosen(channels=1)).std() < 2  # the mean grey, not a pattern


def test_resizing_is_pillows_bicubic(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    expected = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(
        geometry.fit_array(pixels.transpose(2, 0, 1), chosen()), np.asarray(expected).transpose(2, 0, 1)
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_of_the_models_shape_is_left_alone(rng: np.random.Generator, channels: int) -> None:
    image = rng.integers(0, 256, (channels, 16, 16), dtype=np.uint8)
    assert geometry.fit_array(image, chosen(channels=channels)) is image
