"""Blocks compute what their plain counterparts compute."""

from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from aigc.networks import blocks


@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 30), st.sampled_from([0, blocks.SMALL_INPUT]))
def test_linear_is_torchs_linear_with_its_gradients(batch: int, fan_in: int, fan_out: int, most: int) -> None:
    with mock.patch.object(blocks, "SMALL_INPUT", most):  # 0: every size by convolution
        compare_linear(batch, fan_in, fan_out)


def compare_linear(batch: int, fan_in: int, fan_out: int) -> None:
    torch.manual_seed(0)
    layer = blocks.Linear(fan_in, fan_out).double()
    x = torch.randn(batch, fan_in, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))
    ours = torch.autograd.grad(layer(x).square().sum(), (x, layer.weight, layer.bias))
    theirs = torch.autograd.grad(
        F.linear(x, layer.weight, layer.bias).square().sum(), (x, layer.weight, layer.bias)
    )
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("size", "count"), [(16, 2), (28, 2), (32, 3), (64, 4), (128, 5)])
def test_every_supported_side_is_halved_to_a_small_one(size: int, count: int) -> None:
    assert blocks.halvings(size) == count
    levels, side = blocks.pyramid(8, size, 64)
    assert len(levels) == count + 1 and max(levels) <= 64
    assert side * 2**count == size


def test_a_side_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match="30 pixels|15 pixels"):
        blocks.halvings(30)


def test_quantisation_is_the_inverse_of_model_space_and_clips() -> None:
    grid = torch.arange(256, dtype=torch.uint8)
    torch.testing.assert_close(blocks.as_bytes(blocks.as_model_space(grid)), grid)
    assert blocks.as_bytes(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]
    assert blocks.as_model_space(grid).min() == -1 and blocks.as_model_space(grid).max() == 1
