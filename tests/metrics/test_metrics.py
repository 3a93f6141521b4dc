"""Metrics against independent implementations, closed forms and laws."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from aigc.metrics import frechet, intervals, kernel, neighbours
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
    (np.ones((1, 3)), "at least 2 samples"), (np.ones(3), "must be"),
    (np.array([[1.0, 2], [np.nan, 1]]), "row 1"),
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


@pytest.mark.parametrize("condition", [1e2, 1e6, 1e10])
def test_fid_against_the_closed_form_of_commuting_gaussians_at_any_condition(condition: float) -> None:
    d = 24
    axes = np.linalg.qr(np.random.default_rng(3).normal(size=(d, d)))[0]
    x_scales = np.logspace(0, -np.log10(condition) / 2, d)
    y_scales = x_scales * np.linspace(0.5, 2, d)
    x = frechet.Gaussian(np.zeros(d), x_scales[:, None] * axes)
    y = frechet.Gaussian(np.full(d, 0.1), axes.T @ (y_scales[:, None] * axes))
    assert frechet.distance(x, y) == pytest.approx(0.01 * d + np.square(x_scales - y_scales).sum(), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 80), st.integers(1, 40), st.integers(0, 5))
def test_fid_is_never_negative_symmetric_and_zero_for_the_same_samples_in_another_order(
        n: int, d: int, constant: int) -> None:
    rng = np.random.default_rng(n * 100 + d)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n + 3, d))
    x[:, :constant] = 7
    assert frechet.fid(x, y) == pytest.approx(frechet.fid(y, x), rel=1e-7)
    assert frechet.fid(x, y) >= 0
    assert frechet.fid(x, x[::-1]) <= 1e-9 * max(frechet.fit(x).variance, 1e-6)


def test_fid_infinity_takes_the_bias_of_few_samples_away(rng: np.random.Generator) -> None:
    real = frechet.fit(rng.normal(size=(40_000, 16)))
    few = rng.normal(size=(600, 16))
    assert abs(frechet.fid_infinity(real, few, seed=0)) < 0.25 * frechet.distance(real, frechet.fit(few))
    assert frechet.fid_infinity(real, few, seed=0) == frechet.fid_infinity(real, few, seed=0)


def test_kid_of_three_samples_by_hand() -> None:
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [1.0], [3.0]])
    kernel_of = [[[(a * b + 1) ** 3 for b in v.ravel()] for a in u.ravel()]
                 for u, v in ((x, x), (y, y), (x, y))]
    xx, yy, xy = map(np.array, kernel_of)
    by_hand = (xx.sum() - np.trace(xx)) / 6 + (yy.sum() - np.trace(yy)) / 6 - 2 * xy.mean()
    assert kernel.kid(x, y).value == pytest.approx(by_hand, rel=1e-12)


def test_kids_error_is_the_jackknifes_taken_literally(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(30, 4)), rng.normal(size=(25, 4)) + 0.2
    without = np.array([kernel.kid(x, np.delete(y, i, axis=0)).value for i in range(25)])
    variance = 24 / 25 * np.square(without - without.mean()).sum()
    assert kernel.kid(x, y).standard_error == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_neighbours_at_equal_distance_go_to_the_lower_index_however_many_they_are() -> None:
    pool = np.zeros((500, 3))
    pool[400] = 1e-3
    distances, indices = neighbours.nearest(np.full((2, 3), 1e-3), pool, 3)
    assert indices.tolist() == [[400, 0, 1]] * 2
    assert distances[0, 0] == 0
    assert neighbours.nearest(pool, pool, 2, same=True)[1][:3].tolist() == [[1, 2], [0, 2], [0, 1]]


def test_a_point_on_the_rim_is_inside_also_far_from_the_origin() -> None:
    real = np.array([[0.0], [1.0], [2.0]]) + 1e6
    assert neighbours.count_inside(neighbours.knn_balls(real, 1), real)[0].tolist() == [2, 3, 2]


ALL = ("noise", "blur", "lost modes")


# Noise widens the generated balls, so recall does not see it; blur draws pictures to the middle, where
# precision and density find them.
@pytest.mark.parametrize(("metric", "sees"), [("fid", ALL), ("kid", ALL), ("coverage", ALL),
                                              ("precision", ("noise",)),
                                              ("density", ("noise",)), ("recall", ("blur", "lost modes"))])
def test_a_metric_gets_worse_as_what_it_is_there_to_see_grows(metric: str, sees: tuple[str, ...],
                                                            digits: tuple[np.ndarray, np.ndarray]) -> None:
    from scipy.ndimage import gaussian_filter

    images, labels = digits
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order, 0].astype(float), labels[order]
    others, noise = images[400:800], np.random.default_rng(1).normal(size=(400, 28, 28))
    growing = {"noise": [others + scale * noise for scale in (0, 120, 300)],
               "blur": [gaussian_filter(others, (0, sigma, sigma)) for sigma in (0, 3, 6)],
               "lost modes": [images[400:][labels[400:] < classes][:400] for classes in (10, 5, 2)]}

    def view(pictures: np.ndarray) -> np.ndarray:
        return pictures.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(-1, 49) / 32

    real = view(images[:400])
    balls = neighbours.knn_balls(real, 5)
    quality = {"fid": lambda fake: -frechet.fid(real, fake),
               "kid": lambda fake: -kernel.kid(real, fake).value,
               "precision": lambda fake: neighbours.precision(balls, fake),
               "density": lambda fake: neighbours.density(balls, fake),
               "recall": lambda fake: neighbours.recall(real, neighbours.knn_balls(fake, 5)),
               "coverage": lambda fake: neighbours.coverage(balls, fake)}[metric]
    for kind in sees:
        values = [quality(view(pictures)) for pictures in growing[kind]]
        assert values == sorted(values, reverse=True) and values[0] > values[-1], kind


def test_no_metric_holds_a_matrix_of_all_distances(rng: np.random.Generator) -> None:
    real, fake = rng.normal(size=(6000, 4)), rng.normal(size=(6000, 4))
    balls = neighbours.knn_balls(real, 5)
    for metric in (lambda: neighbours.knn_balls(real, 5), lambda: neighbours.count_inside(balls, fake),
                   lambda: neighbours.coverage(balls, fake),
                   lambda: kernel.kid(real, fake)):
        tracemalloc.start()
        metric()
        assert tracemalloc.get_traced_memory()[1] < 8 * 6000**2
        tracemalloc.stop()
