"""Each change of a picture stays within its reach, fills as it says and draws anew for every picture."""

import torch

from aigc.networks import augment

SEED = 0


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)


def dotted(count: int) -> torch.Tensor:
    images = -torch.ones(count, 1, 16, 16)
    images[:, :, 8, 8] = 1
    return images


def test_translate_shifts_within_reach_and_fills_with_black() -> None:
    moved = augment.translate(dotted(64), 2, rng())
    places = (moved[:, 0] == 1).nonzero()
    assert len(places) == 64
    assert (places[:, 1:] - 8).abs().max() == 2
    assert moved.unique().tolist() == [-1, 1]


def test_translate_can_repeat_the_edge_in_place_of_black() -> None:
    assert (augment.translate(torch.ones(20, 3, 8, 8), 2, rng(), repeat_edge=True) == 1).all()
    assert (augment.translate(torch.ones(20, 3, 8, 8), 2, rng()) == -1).any()


def test_cutout_blanks_one_square_that_the_border_may_cut() -> None:
    holes = augment.cutout(torch.zeros(200, 3, 16, 16), 5, rng()) == -1
    assert torch.equal(holes[:, 0], holes[:, 2])
    areas = holes[:, 0].sum((1, 2))
    assert areas.max() == 25 and areas.min() > 0 and len(areas.unique()) > 3


def test_brighten_adds_one_value_a_picture() -> None:
    added = augment.brighten(torch.zeros(100, 3, 4, 4), 0.3, rng()).flatten(1)
    assert (added == added[:, :1]).all()
    assert 0.2 < added.abs().max() <= 0.3


def test_mirror_swaps_left_and_right_of_about_half() -> None:
    images = torch.arange(4.0).expand(400, 1, 4, 4)
    mirrored = augment.mirror(images, rng())
    swapped = (mirrored[:, 0, 0, 0] == 3)
    assert 150 < swapped.sum() < 250
    assert torch.equal(mirrored[swapped][0], images[0].flip(2)) and torch.equal(
        mirrored[~swapped][0], images[0]
    )


def test_a_crop_of_the_whole_changes_nothing_and_a_smaller_one_enlarges() -> None:
    ramp = torch.linspace(-1, 1, 16).expand(50, 3, 16, 16)
    assert torch.allclose(augment.crop(ramp, 1.0, rng()), ramp, atol=1e-6)
    cut = augment.crop(ramp, 0.5, rng())
    assert torch.equal(cut[:, 0], cut[:, 2])
    reach = cut.amax((1, 2, 3)) - cut.amin((1, 2, 3))
    assert reach.min() > 0.9 and reach.max() < 2  # from a half to all of the ramp, less a pixel at the ends
    assert len(reach.unique()) == 50
