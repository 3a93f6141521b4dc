"""Modulation against its formula and against a filter a picture; styles, noise and pictures of the levels."""

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc.networks import blocks
from aigc.networks.style import EPS, Equalised, Modulated, StyleGenerator, StyleLayer, Synthesis

STYLE, IN, OUT, SIDE = 6, 5, 4, 7


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def filters(layer: Modulated, w: Tensor) -> Tensor:
    """w'' of one style, element by element as eq. 1 and 3 of Karras 2020 write it: (out, in, k, k)."""
    weight = layer.weight.transpose(0, 1) if layer.up_to else layer.weight
    s = layer.affine.weight @ w / math.sqrt(STYLE) + layer.affine.bias
    made = torch.zeros_like(weight)
    for o in range(weight.shape[0]):
        for i in range(weight.shape[1]):
            made[o, i] = s[i] * weight[o, i]
        if layer.demodulate:
            made[o] /= math.sqrt(sum(tap.item()**2 for tap in made[o].flatten()) + EPS)
    return made * (1 if layer.demodulate else 1 / math.sqrt(weight[0].numel()))


def test_a_modulated_convolution_is_that_of_the_papers_filters_picture_by_picture() -> None:
    x, w = torch.randn(3, IN, SIDE, SIDE), torch.randn(3, STYLE)
    for layer in (Modulated(IN, OUT, STYLE, 3), Modulated(IN, OUT, STYLE, 1, demodulate=False)):
        one_by_one = [F.conv2d(x[n:n + 1], filters(layer, w[n]), padding=layer.padding) for n in range(3)]
        torch.testing.assert_close(layer(x, w), torch.cat(one_by_one))


def test_it_is_the_grouped_convolution_of_a_filter_for_each_picture() -> None:
    layer, x, w = Modulated(IN, OUT, STYLE, 3), torch.randn(3, IN, SIDE, SIDE), torch.randn(3, STYLE)
    of_all = torch.cat([filters(layer, row) for row in w])
    grouped = F.conv2d(x.flatten(0, 1)[None], of_all, padding=1, groups=3).unflatten(1, (3, OUT))[0]
    torch.testing.assert_close(layer(x, w), grouped)


@pytest.mark.parametrize("side", [2 * SIDE, 2 * SIDE + 1])
def test_on_the_way_up_it_is_twice_the_transposed_convolution_of_the_papers_filters(side: int) -> None:
    layer = Modulated(IN, OUT, STYLE, 4, up_to=side)
    x, w = torch.randn(3, IN, SIDE, SIDE), torch.randn(3, STYLE)
    up = blocks.up(IN, OUT, side)
    nn.init.zeros_(up.bias)
    for n in range(3):
        up.weight.data = filters(layer, w[n]).transpose(0, 1)
        torch.testing.assert_close(layer(x, w)[n:n + 1], 2 * up(x[n:n + 1]))


@pytest.mark.parametrize("up_to", [0, 64])
def test_demodulated_outputs_have_unit_variance_whatever_the_style(up_to: int) -> None:
    layer = Modulated(16, 8, STYLE, 4 if up_to else 3, up_to)
    w = torch.tensor([[0.01], [1.0], [300.0]]) * torch.randn(3, STYLE)
    nn.init.zeros_(layer.affine.bias)
    made = layer(torch.randn(3, 16, 32, 32), w)[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(made.square().mean((2, 3)), torch.ones(3, 8), rtol=0.25, atol=0)


def test_the_gradients_of_a_modulated_convolution_are_those_of_finite_differences() -> None:
    layer = Modulated(2, 3, 2, 3)
    x, w = torch.randn(2, 2, 4, 4, requires_grad=True), torch.randn(2, 2, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x, w))


def test_at_the_start_w_depends_on_z_and_the_styles_on_w_as_much_as_on_the_bias() -> None:
    levels, sides = blocks.pyramid(16, 28, 128)
    generator = StyleGenerator(64, 2, 64, Synthesis(levels, sides, 1, 1, 1, 64), classes=10)
    w = generator.map(torch.randn(500, 64), torch.zeros(500, dtype=torch.int64))
    assert 0.4 < w.std(0).mean() < 1.2
    for layer in generator.modules():
        if isinstance(layer, Modulated):
            assert 0.4 < layer.affine(w).std(0).mean() < 1.4


def test_the_rate_of_an_equalised_layer_slows_its_steps_and_changes_nothing_else() -> None:
    x, target = torch.randn(8, 3), torch.randn(8, 2)
    steps = []
    for rate in (1.0, 0.1):
        torch.manual_seed(1)
        layer = Equalised(3, 2, gain=1.5, rate=rate, bias=0.5)
        before = layer(x)
        adam = torch.optim.Adam(layer.parameters(), lr=1e-3)
        (layer(x) - target).square().sum().backward()
        adam.step()
        steps.append(((layer(x) - before), before))
    torch.testing.assert_close(steps[0][1], steps[1][1])
    torch.testing.assert_close(steps[0][0], 10 * steps[1][0], rtol=1e-4, atol=1e-7)


def test_noise_is_added_to_every_channel_with_one_strength_that_starts_at_0() -> None:
    layer, x, w = StyleLayer(IN, OUT, STYLE), torch.randn(1, IN, SIDE, SIDE), torch.randn(1, STYLE)
    noise = torch.randn(1, 1, SIDE, SIDE)
    plain = layer(x, w, 0 * noise)
    assert torch.equal(layer(x, w, noise), plain)
    nn.init.constant_(layer.strength, 0.5)
    before = torch.where(plain > 0, plain, plain / 0.2)
    expected = before + 0.5 * noise
    torch.testing.assert_close(layer(x, w, noise), torch.where(expected > 0, expected, 0.2 * expected))


@pytest.mark.parametrize(("size", "patch", "depth"), [(28, 1, 1), (28, 2, 2), (88, 1, 0), (16, 2, 1)])
def test_the_picture_is_the_sum_of_the_levels_pictures_each_enlarged(
    size: int, patch: int, depth: int
) -> None:
    levels, sides = blocks.pyramid(4, size // patch, 8)
    synthesis = Synthesis(levels, sides, 3, patch, depth, STYLE)
    w, noise = torch.randn(2, synthesis.layers, STYLE), torch.randn(2, synthesis.pixels)
    for output in synthesis.outputs:
        output.gain /= 10  # so that no sum is where tanh is flat
    whole = synthesis(w, noise).atanh()
    assert whole.shape == (2, 3, size, size) and synthesis.layers == (1 + depth) * (len(sides) - 1) + 1
    alone = []
    scales = [output.gain for output in synthesis.outputs]
    for chosen in range(len(sides)):
        for level, output in enumerate(synthesis.outputs):
            output.gain = scales[level] if level == chosen else 0
        alone.append(synthesis(w, noise).atanh())
    torch.testing.assert_close(sum(alone), whole)
    assert alone[0].diff(dim=3).abs().mean() < alone[-1].diff(dim=3).abs().mean()


def test_a_coarse_style_changes_all_of_the_picture_and_noise_of_a_level_stays_near_its_place() -> None:
    levels, sides = blocks.pyramid(4, 28, 8)
    synthesis = Synthesis(levels, sides, 1, 1, 1, STYLE)
    w, noise = torch.randn(1, synthesis.layers, STYLE), torch.zeros(1, synthesis.pixels)
    for layer in synthesis.modules():
        if isinstance(layer, StyleLayer):
            nn.init.ones_(layer.strength)
    other, dotted = w.clone(), noise.clone()
    other[:, 0] += 1
    dotted[:, -1] = 10  # the last pixel of the finest layer
    plain = synthesis(w, noise)
    assert (synthesis(other, noise) != plain).double().mean() > 0.99
    changed = (synthesis(w, dotted) != plain)[0, 0].nonzero()
    assert changed.tolist() == [[27, 27]]


def test_layers_from_the_crossover_on_have_the_second_style() -> None:
    levels, sides = blocks.pyramid(4, 28, 8)
    generator = StyleGenerator(3, 2, STYLE, Synthesis(levels, sides, 1, 1, 1, STYLE), classes=4)
    labels = torch.tensor([0, 3, 4, 1])
    latents = torch.randn(4, 2 * 3 + generator.synthesis.pixels)
    w_1, w_2 = generator.map(latents[:, :3], labels), generator.map(latents[:, 3:6], labels)
    styles, noise = generator.styles(latents, torch.tensor([[5], [1], [3], [0]]), labels)
    for row, first in enumerate((5, 1, 3, 0)):
        for layer in range(5):
            torch.testing.assert_close(styles[row, layer], (w_1 if layer < first else w_2)[row])
    assert torch.equal(noise, latents[:, 6:])
