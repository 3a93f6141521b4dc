"""Each damage has the amount that its name says."""

import numpy as np
import pytest

from aigc.metrics import damages


def rngs(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(count)]


@pytest.fixture
def images(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (6, 3, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_blur_keeps_the_mean(images: np.ndarray, sigma: float) -> None:
    blurred = damages.blurred(images, [], sigma)
    assert blurred.dtype == np.uint8 and blurred.shape == images.shape
    assert np.abs(blurred.mean((2, 3)) - images.mean((2, 3))).max() < 0.1  # rounding to grey levels


def test_blur_spreads_a_point_by_sigma_in_both_directions_and_in_no_other_channel() -> None:
    point = np.zeros((1, 3, 63, 63), dtype=np.uint8)
    point[0, 1, 26:37, 26:37] = 255  # the variance of a box of 11 pixels is (11^2 - 1) / 12 = 10
    blurred = damages.blurred(point, [], 2.0)[0].astype(float)
    assert not blurred[[0, 2]].any()
    offsets = np.arange(63) - 31
    for axis in (0, 1):
        profile = blurred[1].sum(axis)
        assert (profile * offsets**2).sum() / profile.sum() == pytest.approx(10 + 2.0**2, rel=0.01)


@pytest.mark.parametrize("deviation", [5.0, 10.0, 25.0])
def test_noise_has_its_mean_and_its_deviation(deviation: float) -> None:
    grey = np.full((50, 1, 28, 28), 128, dtype=np.uint8)
    difference = damages.noisy(grey, rngs(50), deviation) - 128.0
    assert difference.std() == pytest.approx(np.sqrt(deviation**2 + 1 / 12), rel=0.02)  # 1/12: rounding
    assert abs(difference.mean()) < 4 * deviation / np.sqrt(difference.size)


@pytest.mark.parametrize(("side", "grid"), [(28, 7), (16, 8), (32, 8), (64, 8), (30, 6), (13, 1)])
def test_shuffling_keeps_each_patch_and_the_histogram(rng: np.random.Generator, side: int,
                                                      grid: int) -> None:
    assert damages.patches(side) == grid
    images = rng.integers(0, 256, (3, 2, side, side), dtype=np.uint8)
    shuffled = damages.shuffled(images, rngs(3))
    assert (np.sort(shuffled, axis=None) == np.sort(images, axis=None)).all()
    assert (shuffled != images).any() or grid == 1

    def cut(picture: np.ndarray) -> list[bytes]:
        size = side // grid
        return sorted(picture[:, top:top + size, left:left + size].tobytes()
                      for top in range(0, side, size) for left in range(0, side, size))

    assert all(cut(after) == cut(before) for after, before in zip(shuffled, images, strict=True))


def test_the_mean_of_a_class_is_that_of_its_pictures(images: np.ndarray) -> None:
    labels = np.array([0, 1, 0, 1, 1, 0])
    means = damages.class_means(images, labels, 2)
    assert (means[1] == np.rint((images[1].astype(int) + images[3] + images[4]) / 3)).all()
    assert means.shape == (2, 3, 28, 28) and means.dtype == np.uint8
