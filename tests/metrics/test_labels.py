"""The classification report against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from aigc.metrics import frechet, labels


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 8).flatmap(lambda classes: st.tuples(
    st.just(classes), st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)),
                               min_size=1, max_size=80))))
def test_the_report_is_scikit_learns(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    classes, pairs = drawn
    asked, seen = np.array(pairs).T
    found = labels.report(asked, seen, classes)
    every = list(range(classes))
    np.testing.assert_array_equal(found.confusion, confusion_matrix(asked, seen, labels=every))
    theirs = precision_recall_fscore_support(asked, seen, labels=every, zero_division=0)
    for mine, other in zip((found.precision, found.recall, found.f1, found.support), theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)
    requested = sorted(set(asked))  # a class that nobody asked for has no say in a mean over classes
    for average in ("macro", "weighted"):
        theirs = precision_recall_fscore_support(asked, seen, labels=requested, zero_division=0,
                                                 average=average)
        mine = [found.averages()[name][average] for name in ("precision", "recall", "f1")]
        np.testing.assert_allclose(mine, theirs[:3], rtol=1e-12)
    assert found.accuracy == pytest.approx(np.mean(asked == seen))


def test_fid_per_class_looks_at_one_class_at_a_time(rng: np.random.Generator) -> None:
    real, generated = rng.normal(size=(60, 3)), rng.normal(size=(200, 3))
    of_real, of_generated = np.repeat([0, 1, 2], [20, 39, 1]), np.repeat([0, 1, 2], [70, 30, 100])
    found = labels.fid_per_class(real, of_real, generated, of_generated, 3)
    blocks = [frechet.fid(real[:20], generated[start:start + 20]) for start in (0, 20, 40)]
    assert found[0]["value"] == pytest.approx(np.mean(blocks), rel=1e-5) and found[0]["n"] == 20
    assert found[1]["value"] == pytest.approx(frechet.fid(real[20:50], generated[70:100]), rel=1e-5)
    assert found[2] == {"n": 1}


@pytest.mark.parametrize(("asked", "classes", "says"), [
    (np.array([0, -1, 1]), 2, "picture 1 is unlabelled"), (np.array([0, 2]), 2, "picture 1 is of class 2"),
    (np.array([0, 0]), 1, "at least two classes"), (np.array([], dtype=int), 3, "at least 1"),
])
def test_what_has_no_report_is_named(asked: np.ndarray, classes: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        labels.report(asked, asked, classes)
