"""Blocks compute what their plain counterparts compute."""

from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from aigc.core import runtime
from aigc.networks import blocks


@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 30), st.booleans())
def test_linear_is_torchs_linear_with_its_first_and_second_derivatives(
    batch: int, fan_in: int, fan_out: int, capped: bool
) -> None:
    torch.manual_seed(0)
    layer = blocks.Linear(fan_in, fan_out)
    x = torch.randn(batch, fan_in, requires_grad=True)
    inputs = (x, layer.weight, layer.bias)

    def derivatives(y: torch.Tensor) -> list[torch.Tensor]:
        first = torch.autograd.grad(y.square().sum(), inputs, create_graph=True)
        second = torch.autograd.grad(first[0].square().sum() + first[1].square().sum(), inputs)
        return [y, *first, *second]

    with mock.patch.object(runtime, "is_capped", return_value=capped):
        ours = derivatives(layer(x))
    theirs = derivatives(F.linear(*inputs))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.detach().abs().max()))


@pytest.mark.parametrize("wanted", ["x", "weight", "bias"])
def test_linear_computes_only_the_gradients_that_are_asked_for(wanted: str) -> None:
    layer, x = blocks.Linear(16, 8), torch.randn(4, 16, requires_grad=True)
    inputs = {"x": x, **dict(layer.named_parameters())}
    with mock.patch.object(runtime, "is_capped", return_value=True):
        y = layer(x)
    with torch.profiler.profile() as profile:
        y.sum().backward(inputs=[inputs[wanted]])
    products = sum(event.name == "mkldnn::_linear_pointwise" for event in profile.events())
    assert products == (wanted != "bias")
    assert [name for name, tensor in inputs.items() if tensor.grad is not None] == [wanted]


@pytest.mark.parametrize(("size", "sides"), [
    (16, [16, 8, 4]), (28, [28, 14, 7]), (32, [32, 16, 8, 4]), (64, [64, 32, 16, 8, 4]),
    (88, [88, 44, 22, 11, 5]), (504, [504, 252, 126, 63, 31, 15, 7]),
])
def test_a_side_is_halved_to_a_small_one_and_the_convolutions_have_the_same_sides(
    size: int, sides: list[int]
) -> None:
    levels, found = blocks.pyramid(8, size, 64)
    assert found == sides and levels == [min(64, 8 * 2**level) for level in range(len(sides))]
    x = torch.zeros(1, 1, size, size)
    for side in sides[1:]:
        x = blocks.down(1, 1)(x)
        assert x.shape[2:] == (side, side)
    for side in sides[-2::-1]:
        x = blocks.up(1, 1, side)(x)
        assert x.shape[2:] == (side, side)


def test_every_pixel_of_an_odd_side_reaches_the_half_size_and_is_reached_from_it() -> None:
    image = torch.randn(1, 1, 11, 11, requires_grad=True)
    blocks.down(1, 1)(image).square().sum().backward()
    assert image.grad is not None and (image.grad != 0).all()
    layer = blocks.up(1, 1, 11)
    torch.nn.init.zeros_(layer.bias)
    assert (layer(torch.randn(1, 1, 5, 5)) != 0).all()


def test_quantisation_is_the_inverse_of_model_space_and_clips() -> None:
    grid = torch.arange(256, dtype=torch.uint8)
    torch.testing.assert_close(blocks.as_bytes(blocks.as_model_space(grid)), grid)
    assert blocks.as_bytes(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]
    assert blocks.as_model_space(grid).min() == -1 and blocks.as_model_space(grid).max() == 1
