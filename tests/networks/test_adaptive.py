"""The controller by hand; each change of a picture against torchvision, scipy or its closed form."""

import math

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as TF
from scipy import ndimage
from torch import Tensor

from aigc.networks import adaptive
from aigc.networks.adaptive import (
    COLOURS,
    GEOMETRY,
    NAMES,
    AdaptiveAugmentation,
    colours,
    geometry,
    recolour,
    warp,
)

SIDE = 16
IMAGES = torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1


def moved(images: Tensor, **strengths: float | tuple[float, float]) -> Tensor:
    """`images`, all with the same changes of place."""
    of = {name: torch.zeros(len(images)) + strengths.get(name, 0.0) for name in GEOMETRY if name != "shift"}
    across, down = strengths.get("shift", (0, 0))
    shift = torch.tensor([[across], [down]], dtype=torch.float32).expand(2, len(images))
    return warp(images, geometry(shift=shift, **of))


def coloured(images: Tensor, **strengths: float) -> Tensor:
    """`images`, all with the same changes of colour."""
    of = {name: torch.full((len(images),), float(strengths.get(name, 0))) for name in COLOURS}
    return recolour(images, *colours(images.shape[1], **of))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def with_p(p: float, names: tuple[str, ...] = NAMES) -> AdaptiveAugmentation:
    augmentation = AdaptiveAugmentation(names, 0.6, 1000)
    augmentation.p.fill_(p)
    return augmentation


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [16, 28, 31])
def test_at_p_0_and_with_nothing_chosen_no_bit_changes(side: int, channels: int) -> None:
    images = torch.rand(5, channels, side, side) * 2 - 1
    assert torch.equal(with_p(0.0).augmented(images, rng()), images)
    assert torch.equal(with_p(1.0, ()).augmented(images, rng()), images)


def test_flips_quarter_turns_and_shifts_by_whole_pixels_are_those_of_torchvision() -> None:
    assert torch.equal(moved(IMAGES, flip=1), TF.hflip(IMAGES))
    for quarter in range(4):
        assert torch.equal(moved(IMAGES, turn=quarter), TF.rotate(IMAGES, -90 * quarter))
    shifted = TF.pad(IMAGES, [3, 2, 0, 0], padding_mode="reflect")[:, :, :SIDE, :SIDE]
    assert torch.equal(moved(IMAGES, shift=(3, 2)), shifted)


@pytest.mark.parametrize("strengths", [
    {"rotate": 0.4}, {"scale": 0.5}, {"scale": -1.0}, {"stretch": 0.3}, {"shift": (2, -1), "rotate": -2.0},
    {"flip": 1, "turn": 3, "scale": 0.2, "stretch": -0.2, "rotate": 1.0, "shift": (1, 2)}], ids=str)
def test_any_change_of_place_is_the_resampling_of_scipy(strengths: dict[str, float]) -> None:
    given = {name: strengths.get(name, 0) for name in GEOMETRY}
    mirror = np.diag([1 - 2 * given["flip"], 1])
    wider = np.diag([2.0**(given["scale"] + given["stretch"]), 2.0**(given["scale"] - given["stretch"])])
    forward = turned(given["rotate"]) @ wider @ turned(math.pi / 2 * given["turn"]) @ mirror
    # scipy's axes are down, right; its matrix leads from the new place to the old one.
    inverse = np.linalg.inv(forward)[::-1, ::-1]
    centre, shift = np.full(2, (SIDE - 1) / 2), np.array(strengths.get("shift", (0, 0)))[::-1]
    offset = centre - inverse @ (centre + shift)
    for image, found in zip(IMAGES.flatten(0, 1), moved(IMAGES, **strengths).flatten(0, 1), strict=True):
        expected = ndimage.affine_transform(image.double().numpy(), inverse, offset, order=1, mode="mirror")
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def turned(angle: float) -> np.ndarray:
    """The matrix of a clockwise turn, with y downwards."""
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def test_what_can_be_undone_is_undone_by_its_opposite() -> None:
    assert torch.equal(moved(moved(IMAGES, flip=1), flip=1), IMAGES)
    assert torch.equal(moved(moved(IMAGES, turn=1), turn=3), IMAGES)
    for change in ({"contrast": 0.7}, {"hue": 2.0}, {"saturation": -0.9}, {"brightness": 0.3}):
        opposite = {name: -strength for name, strength in change.items()}
        back = coloured(coloured(IMAGES, **change), **opposite)
        torch.testing.assert_close(back, IMAGES, rtol=0, atol=1e-5)
    twice = coloured(coloured(IMAGES, luma_flip=1), luma_flip=1)
    torch.testing.assert_close(twice, IMAGES, rtol=0, atol=1e-6)


def test_colours_are_their_closed_forms() -> None:
    grey = IMAGES.mean(1, keepdim=True)
    for change, expected in (({"brightness": 0.25}, IMAGES + 0.25), ({"contrast": 1.0}, 2 * IMAGES),
                             ({"brightness": 0.5, "contrast": -1.0}, (IMAGES + 0.5) / 2),
                             ({"luma_flip": 1}, IMAGES - 2 * grey),
                             ({"hue": 2 * math.pi / 3}, IMAGES.roll(1, 1)),
                             ({"saturation": 1.0}, grey + 2 * (IMAGES - grey)),
                             ({"saturation": -40.0}, grey.expand_as(IMAGES))):
        torch.testing.assert_close(coloured(IMAGES, **change), expected, rtol=0, atol=1e-5)
    assert torch.equal(coloured(IMAGES[:, :1], hue=2.0, saturation=1.0), IMAGES[:, :1])
    torch.testing.assert_close(coloured(IMAGES[:, :1], luma_flip=1), -IMAGES[:, :1])


def test_each_change_happens_to_a_share_p_of_the_pictures_and_only_if_it_is_chosen() -> None:
    for index, name in enumerate(NAMES):
        drawn = with_p(0.3, (name,)).draw(4000, 64, rng(index))
        for other, strength in drawn.items():
            share = (strength.reshape(-1, 4000)[0] != 0).float().mean().item()
            visible = {"flip": 1 / 2, "luma_flip": 1 / 2, "turn": 3 / 4, "shift": 15 / 16}.get(name, 1)
            assert share == pytest.approx(0.3 * visible if other == name else 0, abs=0.03), name


def test_strengths_have_the_papers_distributions() -> None:
    drawn = with_p(1.0).draw(20_000, 64, rng())
    for name, deviation in (("scale", 0.2), ("stretch", 0.2), ("brightness", 0.2), ("contrast", 0.5),
                            ("saturation", 1.0)):
        assert drawn[name].std().item() == pytest.approx(deviation, rel=0.03)
    assert drawn["turn"].unique().tolist() == [0, 1, 2, 3] and drawn["flip"].unique().tolist() == [0, 1]
    assert drawn["shift"].unique().tolist() == list(range(-8, 9))
    assert all(math.pi - 0.01 < drawn[name].abs().max() <= math.pi for name in ("rotate", "hue"))


def test_the_gradient_passes_through_all_changes() -> None:
    images = torch.rand(6, 3, 8, 8, dtype=torch.float32, requires_grad=True)
    made = with_p(0.7).augmented(images, rng())
    direction = torch.randn(images.shape, generator=rng(1))
    gradient, = torch.autograd.grad(made.sum(), images)
    # All changes are affine in the pixels, so a large step is as good as a small one.
    far = with_p(0.7).augmented(images.detach() + direction, rng())
    assert (far - made).sum().item() == pytest.approx((gradient * direction).sum().item(), rel=1e-3)


def test_p_follows_a_sequence_computed_by_hand() -> None:
    """Batches of 128: a window is two. Steps are 256 / 1024 = 0.25."""
    augmentation = AdaptiveAugmentation((), target=0.6, length=1024)

    def heard(positive: int) -> float:
        augmentation.observe(torch.cat([torch.full((positive,), 0.1), torch.full((128 - positive,), -3.0)]))
        return augmentation.p.item()

    assert adaptive.WINDOW == 256
    assert heard(128) == 0.0  # half a window
    assert heard(80) == 0.25  # r = (128 + 80 - 48) / 256 = 0.625 > 0.6
    assert heard(128) == 0.25
    assert heard(76) == 0.25 - 0.25  # r = (128 + 76 - 52) / 256 = 0.59 < 0.6
    assert [heard(0), heard(0)] == [0.0, 0.0]  # not below 0
    assert [heard(128) for _ in range(10)] == [0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1, 1, 1]  # nor above 1
    assert augmentation.signs == augmentation.seen == 0


def test_the_state_of_the_controller_is_in_its_buffers() -> None:
    one, other = (AdaptiveAugmentation(NAMES, 0.6, 1024) for _ in range(2))
    one.observe(torch.ones(200))
    other.load_state_dict(one.state_dict())
    for augmentation in (one, other):
        augmentation.observe(torch.ones(56))
    assert one.p == other.p == 0.25
