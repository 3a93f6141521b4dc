"""From the source to the splits: nothing is lost, nothing leaks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.errors import DataError
from aigc.data import manifest, pictures, sources, splits
from aigc.data.config import SplitConfig
from aigc.data.pictures import Pictures

SPLIT = SplitConfig(seed=0, holdout=0.2, test=0.2)


def test_the_digits_are_5000_in_ten_equal_classes(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits
    assert images.shape == (5000, 1, 28, 28)
    assert images.dtype == np.uint8
    assert np.bincount(labels).tolist() == [500] * 10


def test_the_digits_are_split_3000_1000_1000_evenly_over_classes(
    digits: tuple[np.ndarray, np.ndarray],
) -> None:
    found = sources.digits()
    places = splits.assign(manifest.measure(found.images)["sha256"], found.labels, SPLIT)
    counts = pd.crosstab(found.labels, places)
    assert (
        (counts["train"] == 300).all() and (counts["holdout"] == 100).all() and (counts["test"] == 100).all()
    )


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=1, max_size=120), st.integers(0, 5)
)
def test_copies_share_a_split_and_rows_may_come_in_any_order(rows: list[tuple[int, int]], seed: int) -> None:
    sha, labels = (
        pd.Series([f"{picture:064d}" for picture, _ in rows]),
        np.array([label for _, label in rows]),
    )
    chosen = SplitConfig(seed=seed, holdout=0.3, test=0.3)
    places = splits.assign(sha, labels, chosen)
    assert pd.DataFrame({"sha": sha, "place": places}).groupby("sha")["place"].nunique().max() == 1
    order = np.random.default_rng(seed).permutation(len(rows))
    np.testing.assert_array_equal(splits.assign(sha[order], labels[order], chosen), places[order])


def test_the_manifest_measures_what_numpy_measures(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (50, 3, 9, 7), dtype=np.uint8)
    table = manifest.measure(images)
    flat = images.reshape(50, -1).astype(np.float64)
    np.testing.assert_allclose(table["mean"], flat.mean(1), rtol=1e-12)
    np.testing.assert_allclose(table["std"], flat.std(1), rtol=1e-12)
    np.testing.assert_array_equal(table["maximum"], flat.max(1))
    np.testing.assert_allclose(table["ink_fraction"], (flat >= 128).mean(1))
    assert set(table["mode"]) == {"RGB"} and set(table["height"]) == {9} and set(table["width"]) == {7}


def test_a_constant_picture_has_no_deviation_at_all() -> None:
    assert manifest.measure(np.full((1, 1, 28, 28), 201, np.uint8))["std"].tolist() == [0.0]


@given(st.integers(0, 49), st.integers(0, 80), st.integers(1, 255))
def test_one_changed_pixel_disagrees_with_the_manifest(row: int, pixel: int, change: int) -> None:
    images = np.random.default_rng(1).integers(0, 256, (50, 1, 9, 9), dtype=np.uint8)
    table = pd.DataFrame({"label": 0, **manifest.measure(images)})
    images.reshape(50, -1)[row, pixel] ^= np.uint8(change)
    wrong = manifest.disagreements(table, pictures.Pictures(images, np.zeros(50, np.int64), ["a"]))
    assert np.flatnonzero(wrong).tolist() == [row]


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (
            np.zeros((3, 1, 2, 2), np.uint8),
            np.array([0, 5, 1]),
            "label 5 of row 1 is out of range: there are 2 classes",
        ),
        (np.zeros((3, 1, 2, 2), np.uint8), np.array([0, 1]), r"3 images need int64 labels of shape \(3,\)"),
        (np.zeros((3, 2, 2), np.uint8), np.array([0, 1, 1]), r"images must be uint8 \(N, C, H, W\)"),
        (np.zeros((3, 1, 2, 2), np.float32), np.array([0, 1, 1]), "found float32"),
    ],
)
def test_parts_that_do_not_belong_together_are_named(
    images: np.ndarray, labels: np.ndarray, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        pictures.Pictures(images, labels, ["a", "b"]).check("place")


def test_the_pictures_of_some_classes_are_those_with_their_names_renumbered_or_not() -> None:
    labels = np.array([2, 0, -1, 1, 2, 0])
    images = np.arange(6, dtype=np.uint8)[:, None, None, None]
    whole = Pictures(images, labels, ["a", "b", "c"])
    some = whole.only(["c", "a"])
    assert some.images[:].ravel().tolist() == [0, 1, 4, 5] and some.labels.tolist() == [2, 0, 2, 0]
    assert some.classes == ["a", "b", "c"]
    renumbered = whole.of_classes(["c", "a"])
    assert renumbered.labels.tolist() == [0, 1, 0, 1] and renumbered.classes == ["c", "a"]
    assert renumbered.check("here") is renumbered
    back = renumbered.named(["a", "b", "c"])
    assert back.labels.tolist() == some.labels.tolist() and back.classes == whole.classes
    assert whole.named(whole.classes).labels.tolist() == labels.tolist()
    assert renumbered.images.shape == (4, 1, 1, 1) and renumbered.images.nbytes == 4
    assert renumbered.images[np.array([3, 0])].ravel().tolist() == [5, 0]
    assert len(renumbered.spread(2)) == 4 and renumbered.spread(2).labels.tolist() == [0, 0, 1, 1]
