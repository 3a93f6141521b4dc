"""Translators and critics treat each picture on its own; the pool keeps its law, and is part of the state."""

import numpy as np
import pytest
import torch

from aigc.networks.translation import PatchCritic, Pool, Translator, instance_norm

IMAGE = (1, 2, 2)


def test_instance_normalisation_is_that_of_a_loop_over_pictures_and_channels() -> None:
    x = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0)) * 3 + 1
    expected = np.empty(x.shape)
    for picture in range(3):
        for channel in range(4):
            pixels = x[picture, channel].double().numpy()
            expected[picture, channel] = (pixels - pixels.mean()) / np.sqrt(pixels.var() + 1e-5)
    np.testing.assert_allclose(instance_norm(4)(x).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(("size", "patch", "halvings"), [(28, 1, 2), (28, 2, 1), (16, 2, 2), (24, 1, 0)])
def test_a_translation_has_the_shape_of_its_source_and_ignores_the_other_pictures(
    size: int, patch: int, halvings: int
) -> None:
    torch.manual_seed(0)
    translator, critic = Translator(3, 4, halvings, 2, patch), PatchCritic(3, 4, 3)
    images = torch.rand(4, 3, size, size) * 2 - 1
    with torch.inference_mode():
        for network in (translator, critic):
            together = network(images)
            alone = torch.cat([network(image[None]) for image in images])
            torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert translator(images).shape == images.shape and translator(images).abs().max() <= 1


def test_a_score_sees_as_many_pixels_as_the_page_says() -> None:
    for levels, side in ((3, 38), (4, 78)):
        torch.manual_seed(0)
        critic = PatchCritic(1, 2, levels)
        for layer in critic.layers:  # a normalisation lets each score see every pixel
            if isinstance(layer, torch.nn.GroupNorm):
                layer.forward = lambda x: x
        image = torch.rand(1, 1, 160, 160, requires_grad=True)
        scores = critic(image)
        scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
        assert image.grad is not None
        seen = torch.nonzero(image.grad[0, 0]).amax(0) - torch.nonzero(image.grad[0, 0]).amin(0) + 1
        assert seen.tolist() == [side, side]


def numbered(first: int, count: int) -> torch.Tensor:
    """Pictures that are told apart by their number."""
    return torch.arange(first, first + count).float()[:, None, None, None].expand(count, *IMAGE).clone()


def numbers(pictures: torch.Tensor) -> list[int]:
    return [int(number) for number in pictures[:, 0, 0, 0]]


def test_a_pool_gives_back_what_it_gets_until_it_is_full_and_then_loses_and_doubles_nothing() -> None:
    pool, seen = Pool(10, IMAGE), 1
    for step in range(60):
        given, before = numbered(seen, 4), numbers(pool.pictures)
        was_full = pool.count >= 10
        back = pool.exchange(given, torch.Generator().manual_seed(step))
        after = numbers(pool.pictures)
        if was_full:
            assert sorted(before + numbers(given)) == sorted(after + numbers(back))
            for place, number in enumerate(numbers(back)):  # new, or replaced by the new one
                new = numbers(given)[place]
                assert number == new or (number in before and after[before.index(number)] == new)
        else:
            assert numbers(back) == numbers(given) and set(numbers(given)) <= set(after)
        seen += 4
    assert len(set(numbers(pool.pictures))) == 10


def test_half_of_what_a_full_pool_gives_back_is_old_and_every_place_is_drawn_equally_often() -> None:
    pool, old, places, steps = Pool(5, IMAGE), 0, np.zeros(5), 4000
    pool.exchange(numbered(0, 5), torch.Generator().manual_seed(0))
    for step in range(steps):
        before = numbers(pool.pictures)
        pool.exchange(numbered(10 + 2 * step, 2), torch.Generator().manual_seed(step))
        changed = np.array(before) != np.array(numbers(pool.pictures))
        old += changed.sum()
        places += changed
    # Binomial: 8,000 draws of 1/2, of which a fifth falls on each place; five standard deviations.
    assert abs(old / (2 * steps) - 0.5) < 5 * np.sqrt(0.25 / (2 * steps))
    assert np.abs(places / old - 0.2).max() < 5 * np.sqrt(0.16 / old)


def test_a_pool_is_saved_with_its_pictures_and_an_emptied_one_is_loaded_empty() -> None:
    pool, other = Pool(5, IMAGE), Pool(5, IMAGE)
    pool.exchange(numbered(1, 3), torch.Generator().manual_seed(0))
    other.load_state_dict(pool.state_dict())
    given = [p.exchange(numbered(9, 4), torch.Generator().manual_seed(1)) for p in (pool, other)]
    assert torch.equal(*given) and torch.equal(pool.pictures, other.pictures) and pool.count == other.count
    pool.empty()
    assert pool.state_dict()["pictures"].numel() == 0
    other.load_state_dict(pool.state_dict())
    assert other.pictures.shape == (0, *IMAGE) and other.count == 0


def test_a_pool_of_nothing_gives_back_what_it_gets() -> None:
    assert numbers(Pool(0, IMAGE).exchange(numbered(3, 2), torch.Generator())) == [3, 4]
