"""What torch computes for all pairs is what numpy computes: the same neighbours, the same counts."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from aigc.evaluation.device_pairs import DevicePairs
from aigc.metrics import arrays, kernel, memorization, neighbours, pairs


@pytest.fixture
def by_torch() -> Iterator[None]:
    """Within the test, `compared` gives both answers."""
    yield
    pairs.compute_with(pairs.Pairs())


def compared(measure: object, *arguments: object, **named: object) -> tuple[object, object]:
    """What `measure` says with numpy, and with torch."""
    pairs.compute_with(pairs.Pairs())
    expected = measure(*arguments, **named)  # type: ignore[operator]
    pairs.compute_with(DevicePairs(torch.device("cpu")))
    return expected, measure(*arguments, **named)  # type: ignore[operator]


def sets(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Two sets. tied: many distances are equal, and beyond what a product can tell."""
    if kind == "plain":
        return rng.standard_normal((300, 12)), rng.standard_normal((250, 12)) + 0.3
    grid = rng.integers(0, 3, (300, 3)).astype(float) + 1e6
    return grid, np.concatenate([grid[:100], rng.integers(0, 3, (150, 3)) + 1e6])


@pytest.mark.usefixtures("by_torch")
@pytest.mark.parametrize("rows", [1 << 23, 4000])  # numbers a block
@pytest.mark.parametrize("kind", ["plain", "tied"])
def test_neighbours_and_counts_are_the_same(rng: np.random.Generator, kind: str, rows: int,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "BLOCK_ELEMENTS", rows)
    x, y = sets(rng, kind)
    answers = [compared(neighbours.nearest, x, y, 4), compared(neighbours.nearest, x, x, 4, same=True),
               compared(neighbours.count_inside, neighbours.knn_balls(x, 3), y)]
    for expected, found in answers:
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("by_torch")
def test_the_kernel_distance_is_the_same_up_to_rounding(rng: np.random.Generator,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "BLOCK_ELEMENTS", 4000)
    expected, found = compared(kernel.kid, *sets(rng, "plain"))
    np.testing.assert_allclose(list(vars(found).values()), list(vars(expected).values()), rtol=1e-9)


@pytest.mark.usefixtures("by_torch")
def test_copies_are_found_alike(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (120, 1, 16, 16), dtype=np.uint8)
    training = memorization.TrainingPoints.of(memorization.as_points(images))
    copies = np.concatenate([images[:20, :, :, ::-1], np.roll(images[20:40], 1, 3),
                             rng.integers(0, 256, (30, 1, 16, 16), dtype=np.uint8)])
    expected, found = compared(memorization.find_nearest_augmented, copies, training)
    np.testing.assert_array_equal(found.index, expected.index)
    np.testing.assert_allclose(found.distance, expected.distance, rtol=1e-12)
    assert (found.index[:40] == np.arange(40)).all() and (found.distance[:40] == 0).all()
