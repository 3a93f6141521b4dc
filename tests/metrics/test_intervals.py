"""Intervals by simulation: 95% of them contain the expectation of the metric, within 3 points."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aigc.evaluation import fidelity
from aigc.evaluation.config import EvaluateConfig
from aigc.features.contract import Features
from aigc.metrics import intervals
from aigc.metrics.real import RealStatistics
from aigc.metrics.table import METRICS, Metric

N, D, CLASSES = 200, 6, 4
TRIALS, DRAWS = 1000, 2000
CHOSEN = fidelity.settings_of(EvaluateConfig(sample_size=N))


def draw(rng: np.random.Generator, count: int, shift: float) -> Features:
    """Skewed features, and logits that are some of them."""
    features = np.maximum(rng.normal(size=(count, D)) + shift, -0.5)
    return Features(features, 3 * features[:, :CLASSES])


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.4])
@pytest.mark.parametrize("blocks", [1, 5])
@pytest.mark.parametrize("row", [row for row in METRICS if row.name != "fid_infinity"],
                         ids=lambda row: row.name)
def test_the_interval_covers_the_expectation_for_fixed_real_pictures(row: Metric, blocks: int, shift: float,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(20)
    real = RealStatistics.of(draw(rng, N, 0.0).features, CHOSEN)

    def number(count: int) -> intervals.Number:
        found = draw(rng, count, shift)
        return row.measure(real, found.features, found.logits, CHOSEN)

    with monkeypatch.context() as patch:  # the truth: the mean of very many, without their intervals
        patch.setattr(intervals, "FEW_BLOCKS", 0)
        truth = np.mean([number(N)["value"] for _ in range(DRAWS)])
    found = [number(N * blocks) for _ in range(TRIALS)]
    if blocks == 1 and row.name in ("recall", "coverage"):
        assert all("low" not in one for one in found)
        return
    # Blocks that agree have none.
    covers = [one["low"] <= truth <= one["high"] for one in found if "low" in one]
    assert 0.92 <= np.mean(covers) <= 0.98 and len(covers) > 0.95 * TRIALS


def test_no_interval_is_made_of_a_sample_that_was_drawn_twice() -> None:
    seen: list[np.ndarray] = []

    def spy(block: np.ndarray) -> float:
        seen.append(block)
        return float(block.mean())

    for count in (40, 200):
        intervals.over_blocks(spy, np.arange(float(count))[:, None], 40, smooth=True)
    assert all(len(np.unique(block)) == len(block) for block in seen)


@pytest.mark.parametrize("interval", [lambda x: intervals.over_blocks(lambda block: float(block.mean()), x,
                                                                      50, smooth=True)])
def test_with_few_blocks_the_jackknife_of_a_mean_is_its_textbook_error(interval: Callable[[np.ndarray],
                                                                                          intervals.Number],
                                                                     rng: np.random.Generator) -> None:
    x = rng.normal(size=(100, 1))
    found = interval(x)
    textbook = 1.96 * x.std(ddof=1) / 10
    assert found["high"] - found["value"] == pytest.approx(textbook, rel=0.35)


def test_the_jackknife_does_not_mistake_the_order_of_classes_for_spread(rng: np.random.Generator) -> None:
    """Samples of ten classes in turn: with every 20th left out, half a class would be missing."""
    in_turn = np.tile(np.arange(10.0), 100)[:, None]
    found = intervals.over_blocks(lambda block: float(np.square(block.mean())), in_turn, 1000, smooth=True)
    mixed = intervals.over_blocks(lambda block: float(np.square(block.mean())), rng.permutation(in_turn),
                                  1000, smooth=True)
    assert found["high"] - found["low"] == pytest.approx(mixed["high"] - mixed["low"], rel=0.6)


@given(st.data(), st.integers(1, 5000), st.sampled_from(["wilson", "exact"]))
def test_the_interval_of_a_share_is_scipys(data: st.DataObject, count: int,
                                           method: Literal["wilson", "exact"]) -> None:
    hits = data.draw(st.integers(0, count))
    expected = stats.binomtest(hits, count).proportion_ci(0.95, method)
    found = intervals.of_share(np.arange(count) < hits, method)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high), rel=1e-5, abs=1e-9)


@given(st.one_of(st.integers(1, 10**6), st.just(math.inf)))
def test_students_reach_is_scipys(freedom: float) -> None:
    found = intervals.from_standard_error(0.0, 1.0, freedom)
    assert found["high"] == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-5)


def test_the_interval_of_a_share_of_blocks_stays_within_its_bounds_and_equal_blocks_have_none() -> None:
    def mean(block: np.ndarray) -> float:
        return float(block.mean())

    uneven, even = np.repeat([0.9, 1.0], 50)[:, None], np.ones((100, 1))
    found = intervals.over_blocks(mean, uneven, 50, within=(0, 1))
    assert found["high"] == 1 and found["low"] < found["value"] == 0.95
    assert intervals.over_blocks(mean, even, 50, within=(0, 1)) == {"value": 1.0}
