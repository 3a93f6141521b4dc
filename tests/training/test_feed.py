"""What a method is fed: a function of the step alone, balanced and changed where that was asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.randomness import BalancedOrder, BlockOrder, Order
from aigc.core.runtime import Device
from aigc.training import feed
from aigc.training.feed import Feed

LABELS = torch.tensor([0] * 50 + [1] * 5 + [2] * 2)


@given(st.integers(0, 200), st.integers(1, 40), st.integers(0, 5))
def test_any_stretch_of_the_balanced_order_can_be_asked_for(start: int, length: int, seed: int) -> None:
    whole = BalancedOrder(LABELS, seed).indices(0, 240)
    assert torch.equal(BalancedOrder(LABELS, seed).indices(start, length), whole[start:start + length])


def test_the_balanced_order_shows_every_class_equally_often_and_every_picture_of_a_class() -> None:
    indices = BalancedOrder(LABELS, 0).indices(0, 150)
    assert torch.bincount(LABELS[indices]).tolist() == [50, 50, 50]
    assert all(
        (LABELS[indices[start : start + 3]].sort().values == torch.arange(3)).all()
        for start in range(0, 150, 3)
    )
    assert torch.bincount(indices, minlength=57).tolist() == [1] * 50 + [10] * 5 + [25] * 2


def test_mirrored_and_shifted_pictures_are_a_function_of_the_step(device: Device) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 16, 16), dtype=np.uint8)
    labels = np.arange(20)
    plain = Feed(images, labels, 0, device)
    changed = Feed(images, labels, 0, device, mirror=True, shift=2, crop=0.8)
    first, again = (
        changed.batch(3, 8),
        Feed(images, labels, 0, device, mirror=True, shift=2, crop=0.8).batch(3, 8),
    )
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], plain.batch(3, 8)[1])
    assert not torch.equal(first[0], plain.batch(3, 8)[0])
    assert not torch.equal(first[0], changed.batch(4, 8)[0])


def test_what_does_not_fit_the_device_is_read_ahead_and_is_the_same(device: Device, tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (50, 3, 16, 16), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pictures)
    mapped, labels = np.load(tmp_path / "images.npy", mmap_mode="r"), np.arange(50)
    resident, streamed = Feed(pictures, labels, 0, device), Feed(mapped, labels, 0, device, memory=1000)
    assert streamed.prefetch is not None and resident.prefetch is None
    for step in (0, 1, 2, 9, 3, 4):  # in order, as a run asks, and after a jump, as a resumed one does
        for one, other in zip(resident.batch(step, 8), streamed.batch(step, 8), strict=True):
            assert torch.equal(one, other)
    assert all(torch.equal(one, other) for one, other in zip(resident.all(8), streamed.all(8), strict=True))


def test_what_a_process_asks_for_next_is_read_ahead(device: Device) -> None:
    images, labels = np.random.default_rng(0).integers(0, 256, (50, 1, 16, 16), np.uint8), np.arange(50)
    plain, streamed = Feed(images, labels, 0, device), Feed(images, labels, 0, device, memory=0)
    assert streamed.prefetch is not None
    for number, following in ((2, 3), (3, 10), (10, 11)):  # shards 2 and 3 of 8 of each step
        assert torch.equal(streamed.batch(number, 4, following)[1], plain.batch(number, 4)[1])
        assert streamed.prefetch.requested and streamed.prefetch.requested[0] == (following, 4)


def test_many_pictures_come_in_blocks_and_few_in_one_permutation(
        device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = np.random.default_rng(0).integers(0, 256, (60, 1, 16, 16), np.uint8), np.arange(60) % 2
    monkeypatch.setattr(feed, "WINDOW", images.nbytes)
    few = Feed(images, labels, 3, device).order.indices(0, 60)
    assert torch.equal(few, Order(60, 3).indices(0, 60))
    monkeypatch.setattr(feed, "WINDOW", images.nbytes // 4)
    monkeypatch.setattr(feed, "BLOCK", 5 * 256)
    many = Feed(images, labels, 3, device)
    assert torch.equal(many.order.indices(7, 90), BlockOrder(60, 3, 5, 15).indices(7, 90))
    assert len(set((many.order.indices(0, 15) // 5).tolist())) == 3
    balanced = Feed(images, labels, 3, device, balanced=True).batch(0, 10)[1]
    assert balanced.sum() == 5
