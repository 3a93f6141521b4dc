"""The law of BlockOrder: each picture once an epoch, blocks and windows shuffled, any stretch at once."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aigc.core.randomness import BalancedOrder, BlockOrder


@given(st.integers(1, 200), st.integers(1, 20), st.integers(1, 60), st.integers(0, 3))
def test_an_epoch_has_each_picture_once_and_no_window_mixes_with_another(
        count: int, block: int, window: int, seed: int) -> None:
    epoch = BlockOrder(count, seed, block, window).indices(count, count).numpy()
    assert sorted(epoch) == list(range(count))
    blocks = epoch // block
    for number in range(-(-count // block)):
        places = np.flatnonzero(blocks == number)
        assert places.max() - places.min() < max(window, block)


@given(st.integers(1, 120), st.integers(1, 20), st.integers(1, 60), st.integers(0, 400), st.integers(1, 150))
def test_any_stretch_can_be_asked_for_at_once(
        count: int, block: int, window: int, start: int, length: int) -> None:
    whole = BlockOrder(count, 0, block, window).indices(0, start + length)
    assert torch.equal(BlockOrder(count, 0, block, window).indices(start, length), whole[start:])


def test_each_picture_is_at_each_place_with_the_same_probability() -> None:
    count, epochs = 24, 4000  # six blocks in three windows
    order = BlockOrder(count, 7, block=4, window=8)
    epoch_of = order.indices(0, count * epochs).view(epochs, count).numpy()
    seen = np.zeros((count, count))
    for place in range(count):
        seen[place] = np.bincount(epoch_of[:, place], minlength=count)
    # Places of an epoch are not independent, so each row is tested alone (Bonferroni).
    assert min(stats.chisquare(row).pvalue for row in (*seen, *seen.T)) > 0.01 / (2 * count)


def test_how_often_two_blocks_share_a_window() -> None:
    count, epochs, windows = 24, 4000, 3
    epoch_of = BlockOrder(count, 3, block=4, window=8).indices(0, count * epochs).view(epochs, count).numpy()
    window_of = np.argsort(epoch_of, axis=1) // (count // windows)
    shared = (window_of[:, 0] == window_of[:, 4]).mean()  # (2 - 1) / (6 - 1)
    assert abs(shared - 0.2) < 4 * np.sqrt(0.2 * 0.8 / epochs)
    assert (window_of[:, 0] == window_of[:, 3]).all()


def test_epochs_and_seeds_differ() -> None:
    first = BlockOrder(100, 0, 8, 40)
    assert not torch.equal(first.indices(0, 100), first.indices(100, 100))
    assert not torch.equal(first.indices(0, 100), BlockOrder(100, 1, 8, 40).indices(0, 100))


@pytest.mark.parametrize("classes", [1, 3])
def test_balanced_classes_are_in_blocks_too(classes: int) -> None:
    labels = torch.arange(60) * classes // 60
    order = BalancedOrder(labels, 0, lambda count, seed: BlockOrder(count, seed, 4, 8))
    drawn = order.indices(0, 60)
    assert sorted(drawn.tolist()) == list(range(60))
    first = drawn[:8 * classes]
    assert all(len(set((first[labels[first] == label] - label * 60 // classes).div(4).int().tolist())) == 2
               for label in range(classes))
