"""Metrics against independent implementations, closed forms and laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from aigc.metrics import frechet, intervals
from aigc.metrics.inception_score import inception_score


def textbook_fid(x: np.ndarray, y: np.ndarray) -> float:
    """Heusel's formula by scipy's matrix square root."""
    sx, sy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    return float(np.square(x.mean(0) - y.mean(0)).sum() + np.trace(sx + sy - 2 * linalg.sqrtm(sx @ sy).real))


def test_fid_is_the_textbooks(rng: np.random.Generator) -> None:
    mix = rng.normal(size=(6, 6))
    x, y = rng.normal(size=(400, 6)) @ mix, rng.normal(size=(300, 6)) * 2 + 1
    assert frechet.fid(x, y) == pytest.approx(textbook_fid(x, y), rel=1e-9)


def test_fid_of_known_gaussians_is_the_closed_form() -> None:
    x = frechet.Gaussian(np.array([0.0, 0.0]), np.diag([1.0, 2.0]))
    y = frechet.Gaussian(np.array([3.0, 4.0]), np.diag([2.0, 5.0]))
    assert frechet.distance(x, y) == pytest.approx(25 + (2 - 1) ** 2 + (5 - 2) ** 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(1, 12), st.floats(0, 100))
def test_fid_of_a_set_with_itself_is_zero_also_when_singular(n: int, d: int, offset: float) -> None:
    x = np.random.default_rng(n * d).normal(size=(n, d)) + offset
    x[:, 0] = offset  # a constant feature
    assert 0 <= frechet.fid(x, x) <= 1e-9 * max(1.0, np.trace(np.cov(x, rowvar=False).reshape(d, d)))


def test_fid_grows_with_noise(rng: np.random.Generator) -> None:
    x = rng.normal(size=(500, 8))
    distances = [frechet.fid(x, x + rng.normal(size=x.shape) * scale) for scale in (0.1, 0.5, 1, 2)]
    assert distances == sorted(distances)


@pytest.mark.parametrize(("bad", "says"), [
    (np.ones((1, 3)), "at least 2 samples"), (np.ones(3), "must be"), (np.array([[1.0, 2], [np.nan, 1]]), "row 1"),
])
def test_what_has_no_fid_is_named(bad: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        frechet.fit(bad)


def test_inception_score_has_its_two_ends() -> None:
    assert inception_score(np.zeros((50, 10))) == pytest.approx(1)
    assert inception_score(np.eye(10)[np.arange(50) % 10] * 1000) == pytest.approx(10)


def test_the_interval_over_blocks_covers_the_expectation_19_times_in_20() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        found = intervals.over_blocks(lambda block: float(block.mean()), rng.normal(size=(50, 1)), 10)
        hits += found["low"] <= 0 <= found["high"]
    assert 0.92 <= hits / 1000 <= 0.98


def test_a_single_block_has_a_value_and_no_interval() -> None:
    assert intervals.over_blocks(lambda block: 1.0, np.zeros((5, 1)), 4) == {"value": 1.0}
    with pytest.raises(ValueError, match="fewer than one block"):
        intervals.over_blocks(lambda block: 1.0, np.zeros((3, 1)), 4)


def test_rounding_keeps_six_digits_and_drops_dust() -> None:
    assert intervals.rounded(1234.56789) == 1234.57
    assert intervals.rounded(-1e-12) == 0.0
