"""Statistics of memorization against brute force, closed forms and copies of training pictures."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist

from aigc.metrics import controls, intervals, memorization
from aigc.metrics.memorization import Nearest

POINTS = st.tuples(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 30), st.integers(1, 6))


@settings(max_examples=50, deadline=None)
@given(POINTS)
def test_neighbours_and_authenticity_are_those_of_brute_force(drawn: tuple[int, int, int, int]) -> None:
    seed, train_count, count, width = drawn
    rng = np.random.default_rng(seed)
    train, samples = rng.normal(size=(train_count, width)), rng.normal(size=(count, width))
    training = memorization.TrainingPoints.of(train)
    among = cdist(train, train)
    np.fill_diagonal(among, np.inf)
    ordered = np.sort(among, axis=1)[:, :min(memorization.LOCAL_NEIGHBOURS, train_count - 1)]
    np.testing.assert_allclose(training.nearest, ordered[:, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(training.local, ordered.mean(1), rtol=1e-5, atol=1e-6)
    apart = cdist(samples, train)
    found = memorization.find_nearest(samples, training)
    np.testing.assert_array_equal(found.index, apart.argmin(1))
    np.testing.assert_allclose(found.distance, apart.min(1), rtol=1e-5, atol=1e-6)
    authentic = [apart[i, j] > among[j].min() for i, j in enumerate(apart.argmin(1))]
    np.testing.assert_array_equal(memorization.authenticity(found, training), authentic)


def test_the_search_over_augmentations_is_that_of_trying_each_one_on_each_picture(
        digits: tuple[np.ndarray, np.ndarray]) -> None:
    train, samples = digits[0][:4000:40], digits[0][20:3000:600]
    found = memorization.find_nearest_augmented(samples,
                                                memorization.TrainingPoints.of(memorization.as_points(train)))
    inside = np.s_[:, 1:-1, 1:-1]
    for image, index, distance in zip(samples, found.index, found.distance, strict=True):
        tried = [(np.linalg.norm(np.roll(turned, (rows, columns), (1, 2))[inside] / 255.0 - other[inside]
                                 / 255.0), number)
                 for turned in (image, image[..., ::-1])
                 for rows, columns in itertools.product((-1, 0, 1), repeat=2)
                 for number, other in enumerate(train)]
        assert (distance, index) == (pytest.approx(min(tried)[0], abs=1e-4), min(tried)[1])


def test_an_exact_copy_has_distance_zero_and_augmentation_never_raises_a_distance(
        digits: tuple[np.ndarray, np.ndarray]) -> None:
    train, others = digits[0][:4000:40], digits[0][20:4000:200]
    training = memorization.TrainingPoints.of(memorization.as_points(train))
    assert (memorization.find_nearest_augmented(train, training).distance == 0).all()
    assert (memorization.find_nearest_augmented(others, training).distance
            <= memorization.find_nearest(memorization.as_points(others), training).distance + 1e-6).all()


def test_large_pictures_are_compared_at_32_pixels_a_side() -> None:
    image = np.kron(np.arange(32 * 32, dtype=np.uint8).reshape(1, 1, 32, 32), np.ones((2, 2), dtype=np.uint8))
    inside = (np.arange(1024) % 256).reshape(32, 32)[1:-1, 1:-1]
    np.testing.assert_allclose(memorization.as_points(image)[0] * 255, inside.ravel(), rtol=1e-5)


@pytest.mark.parametrize("background", [0, 255])
def test_a_shifted_copy_is_detected_on_any_background_even_if_the_picture_touches_its_edge(
        rng: np.random.Generator, background: int) -> None:
    train = np.full((60, 3, 32, 32), background, np.uint8)
    train[:, :, :20] = rng.integers(0, 256, (60, 3, 20, 32))
    training = memorization.TrainingPoints.of(memorization.as_points(train))
    copies = controls.copycat(train, 60, "shift", rng)
    assert (memorization.find_nearest_augmented(copies, training).relative_distance(training) < 0.2).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(2, 30))
def test_the_z_of_mann_whitney_counts_pairs(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    real, generated = rng.integers(0, 12, n).astype(float), rng.integers(0, 12, m).astype(float)
    u = sum((g > r) + (g == r) / 2 for g in generated for r in real)
    assert memorization.mann_whitney_z(real, generated) == pytest.approx((u - n * m / 2)
                                                                         / np.sqrt(n * m * (n + m + 1) / 12))
    assert memorization.mann_whitney_z(generated,
                                       real) == pytest.approx(-memorization.mann_whitney_z(real, generated))


def test_c_t_is_the_weighted_mean_over_cells_without_small_ones() -> None:
    real = np.concatenate([np.full(60, 2.0), np.full(20, 2.0), np.full(30, 2.0)])
    generated = np.concatenate([np.full(40, 1.0), np.full(50, 3.0), np.full(19, 1.0)])
    cells, theirs = np.repeat([0, 1, 2], [60, 20, 30]), np.repeat([0, 1, 2], [40, 50, 19])
    # Every generated distance of cell 0 is below every real one: U = 0. Of cell 1 above: U = n m. Cell 2 has
    # 19 < 20 samples.
    z = [-60 * 40 / 2 / np.sqrt(60 * 40 * 101 / 12), 20 * 50 / 2 / np.sqrt(20 * 50 * 71 / 12)]
    assert memorization.c_t(real, cells, generated, theirs) == pytest.approx((60 * z[0] + 20 * z[1]) / 80)
    with pytest.raises(ValueError, match="no cell has 20"):
        memorization.c_t(real[:10], cells[:10], generated, theirs)


def test_c_t_of_equal_distributions_is_standard_normal_in_one_cell(rng: np.random.Generator) -> None:
    one = np.zeros(50, dtype=int)
    found = [memorization.c_t(rng.exponential(size=50), one, rng.exponential(size=50), one)
             for _ in range(1000)]
    assert stats.kstest(found, "norm").pvalue > 0.01


def test_c_t_authenticity_and_closer_than_real_separate_copies_from_new_draws(
        rng: np.random.Generator) -> None:
    train, new, test = rng.normal(size=(600, 4)), rng.normal(size=(400, 4)), rng.normal(size=(400, 4))
    copies = train[:400] + rng.normal(size=(400, 4)) * 0.01
    training = memorization.TrainingPoints.of(train)
    centres = memorization.cells(training, np.random.default_rng(0))
    reference = memorization.find_nearest(test, training)

    def score(samples: np.ndarray) -> tuple[float, float, float]:
        found = memorization.find_nearest(samples, training)
        return (memorization.c_t(reference.distance, memorization.cell_of(test, centres), found.distance,
                                 memorization.cell_of(samples, centres)),
                memorization.authenticity(found, training).mean(),
                memorization.closer_than_real(found.distance, reference.distance)["value"])

    assert score(copies)[0] < -5 < -3 < score(new)[0] < 3
    assert score(copies)[1] < 0.1 < 0.4 < score(new)[1]
    assert score(copies)[2] > 0.95 > 0.6 > score(new)[2]


def test_the_interval_of_closer_than_real_covers_the_closed_form_19_times_in_20() -> None:
    rng = np.random.default_rng(0)
    truth, hits = 2 / 3, 0  # exponentials of rates 2 and 1: P(first < second) = 2 / (2 + 1)
    for _ in range(1000):
        found = memorization.closer_than_real(rng.exponential(0.5, 80), rng.exponential(1.0, 60))
        hits += found["low"] <= truth <= found["high"]
    assert 0.92 <= hits / 1000 <= 0.98


def test_the_interval_of_a_share_has_at_least_its_confidence() -> None:
    for truth in (0.01, 0.2, 0.5):
        chances = stats.binom.pmf(np.arange(41), 40, truth)
        found = [intervals.of_share(np.arange(40) < hits, "exact") for hits in range(41)]
        covered = sum(chance for chance, one in zip(chances, found, strict=True)
                      if one["low"] <= truth <= one["high"])
        assert covered >= 0.95


@pytest.mark.parametrize("alteration", controls.COPYCATS)
def test_copies_are_nearer_to_their_originals_than_these_are_to_each_other(
        digits: tuple[np.ndarray, np.ndarray], alteration: str) -> None:
    train, fresh = digits[0][::10], digits[0][1::100]
    training = memorization.TrainingPoints.of(memorization.as_points(train))
    copies = controls.copycat(train, 60, alteration, np.random.default_rng(0))
    assert copies.shape == (60, 1, 28, 28) and copies.dtype == np.uint8
    assert np.median(memorization.find_nearest_augmented(copies, training).relative_distance(training)) < 0.3
    assert np.median(memorization.find_nearest_augmented(fresh, training).relative_distance(training)) > 0.7


def test_relative_distance_has_no_unit_and_is_defined_for_equal_training_pictures() -> None:
    train = np.array([[0.0], [1], [3]])
    found, tenfold = memorization.TrainingPoints.of(train), memorization.TrainingPoints.of(10 * train)
    samples = np.array([[0.5], [2.9]])
    np.testing.assert_allclose(memorization.find_nearest(samples, found).relative_distance(found),
                               memorization.find_nearest(10 * samples, tenfold).relative_distance(tenfold),
                               rtol=1e-5)
    same = memorization.TrainingPoints.of(np.zeros((3, 2)))
    assert Nearest(np.array([0, 0]), np.array([0.0, 1.0])).relative_distance(same).tolist() == [0, np.inf]


@pytest.mark.parametrize(("call", "says"), [
    (lambda: memorization.TrainingPoints.of(np.zeros((1, 2))), "at least 2"),
    (lambda: memorization.TrainingPoints.of(np.array([[0.0], [np.nan]])), "row 1"),
    (lambda: memorization.closer_than_real(np.zeros(1), np.zeros(5)), "at least 2"),
    (lambda: intervals.of_share(np.zeros(0, dtype=bool)), "no samples"),
])
def test_invalid_input_is_an_error_that_names_it(call, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()


def test_duplicates_of_a_training_picture_do_not_change_how_near_a_copy_of_it_is(
        rng: np.random.Generator) -> None:
    once = rng.normal(size=(200, 8))
    many = np.concatenate([once, np.repeat(once[:1], 12, 0)])
    copy = once[:1] + 1e-3
    alone, among = memorization.TrainingPoints.of(once), memorization.TrainingPoints.of(many)
    to_one = memorization.find_nearest(copy, alone).relative_distance(alone)
    assert memorization.find_nearest(copy, among).relative_distance(among) == pytest.approx(to_one)
    assert not memorization.authenticity(memorization.find_nearest(copy, among), among).any()
    np.testing.assert_allclose(among.nearest[200:], alone.nearest[0])
