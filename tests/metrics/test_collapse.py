"""Collapse by closed forms: known laws over classes, known numbers of pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from aigc.metrics import collapse


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_the_entropy_over_classes_is_scipys_and_its_ends_are_0_and_1(seen: list[int]) -> None:
    found = collapse.class_entropy(np.array(seen), 6)
    assert found == pytest.approx(stats.entropy(np.bincount(seen, minlength=6)) / np.log(6), abs=1e-12)
    assert 0 <= found <= 1 + 1e-12
    assert (collapse.class_entropy(np.array([3] * len(seen)), 6),
            collapse.class_entropy(np.arange(6), 6)) == (0, pytest.approx(1))


def test_a_class_is_covered_by_a_tenth_of_its_even_share() -> None:
    assert collapse.classes_covered(np.repeat([0, 1, 2], [480, 16, 4]), 3) == 1
    assert collapse.classes_covered(np.repeat([0, 1, 2], [463, 17, 20]), 3) == 3


def test_duplicates_are_all_pairs_within_the_radius_nearest_first(rng: np.random.Generator) -> None:
    points = rng.normal(size=(80, 3))
    apart = squareform(pdist(points))
    pairs, distances = collapse.duplicates(points, 0.6)
    expected = {(i, j) for i, j in zip(*np.nonzero(apart < 0.6), strict=True) if i < j}
    assert {tuple(pair) for pair in pairs.tolist()} == expected and len(pairs) == len(expected) > 3
    assert (np.diff(distances) >= 0).all()
    np.testing.assert_allclose(distances, apart[pairs[:, 0], pairs[:, 1]], rtol=1e-5)


@pytest.mark.parametrize("pictures", [100, 1000])
def test_the_birthday_paradox_counts_the_pictures_of_a_collapsed_generator(rng: np.random.Generator,
                                                                           pictures: int) -> None:
    memory = rng.normal(size=(pictures, 4)) * 10
    found = [collapse.support_size(len(collapse.duplicates(memory[rng.integers(pictures, size=300)],
                                                           1e-3)[0]), 300) for _ in range(20)]
    # The expectation of 1 / N is exact; the mean of twenty keeps within a tenth.
    assert 1 / np.mean(1 / np.array(found)) == pytest.approx(pictures, rel=0.1)


def test_no_duplicate_at_all_says_at_least_what_one_would() -> None:
    assert len(collapse.duplicates(np.arange(5.0)[:, None], 0.5)[0]) == 0
    assert collapse.support_size(0, 5) == collapse.support_size(1, 5) == 10


@pytest.mark.parametrize(("call", "says"), [
    (lambda: collapse.class_entropy(np.zeros(3, int), 1),
     "two classes"), (lambda: collapse.classes_covered(np.zeros(0, int), 3), "one sample"),
    (lambda: collapse.support_size(0, 1), "at least 2"),
])
def test_what_cannot_collapse_is_named(call, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
