"""The index of drift: zero for the same, and known values for known shifts."""

import math

import numpy as np
import pytest

from aigc.data import drift


def test_the_same_data_do_not_drift(rng: np.random.Generator) -> None:
    values = rng.normal(size=500)
    assert drift.of_values(values, values) == 0
    assert drift.of_values(np.full(9, 3.0), np.full(9, 3.0)) == 0


def test_the_index_is_its_formula() -> None:
    found = drift.psi(np.array([50, 50]), np.array([80, 20]))
    assert found == pytest.approx(0.3 * math.log(0.8 / 0.5) - 0.3 * math.log(0.2 / 0.5))


def test_two_samples_of_one_distribution_stay_under_the_usual_limit_and_a_shift_does_not(
    rng: np.random.Generator,
) -> None:
    reference, again = rng.normal(size=2000), rng.normal(size=2000)
    assert drift.of_values(reference, again) < 0.1
    assert drift.of_values(reference, again + 1) > 0.25


@pytest.mark.parametrize("moved", [27.0, 29.0])
def test_a_constant_that_moves_up_or_down_is_seen(moved: float) -> None:
    assert drift.of_values(np.full(100, 28.0), np.full(100, moved)) > 0.25
