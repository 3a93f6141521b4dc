"""What the keys of the section `evaluator` are where they are `auto`."""

import numpy as np
import pytest
import torch

from aigc.features.classifier import Classifier
from aigc.features.evaluator import CYCLE, EvaluatorConfig, choose, least_accuracy
from aigc.model.contract import Shape

DEFAULT = EvaluatorConfig(seed=0, batch_size=64, learning_rate=0.004, outlier=0.01)


@pytest.mark.parametrize(("shape", "count", "expected"), [
    (Shape(1, 28, 10), 3000, {"images": 40_000, "width": 12, "features": 64, "mirror": False, "shift": 2,
                             "first_level": 1.0}),
    (Shape(3, 32, 10), 24_000, {"images": 192_000, "width": 16, "features": 128, "mirror": True,
                                "shift": 2, "first_level": 3.0}),
    (Shape(3, 128, 0), 10**6, {"images": 200_000, "width": 16, "features": 128, "mirror": True, "shift": 9,
                                "first_level": 3.0}),
])
def test_it_follows_size_channels_and_number_of_pictures(shape: Shape, count: int,
                                                         expected: dict[str, object]) -> None:
    chosen = choose(DEFAULT, shape, count).model_dump()
    assert chosen == {**CYCLE, "batch_size": 64, "learning_rate": 0.004, **expected}


@pytest.mark.parametrize("given", [{"images": 7}, {"width": 5}, {"features": 9}, {"mirror": False},
                                   {"mirror": True}, {"shift": 0}])
def test_a_key_that_is_given_is_as_given(given: dict[str, int]) -> None:
    shape = Shape(3, 32, 10)
    chosen = choose(DEFAULT.model_copy(update=given), shape, 3000).model_dump()
    assert chosen == {**choose(DEFAULT, shape, 3000).model_dump(), **given}


def test_the_first_level_of_colour_pictures_weighs_more_and_the_logits_do_not_know_it() -> None:
    shape = Shape(3, 32, 4)
    chosen = choose(DEFAULT, shape, 1000)
    torch.manual_seed(0)
    weighted = Classifier(chosen, shape).eval()
    plain = Classifier(chosen.model_copy(update={"first_level": 1.0}), shape).eval()
    plain.load_state_dict(weighted.state_dict())
    pictures = torch.rand(2, 3, 32, 32)
    (features, logits), (others, same_logits) = weighted(pictures), plain(pictures)
    ratio = torch.full((features.shape[1],), 1.0)
    ratio[:2 * 16] = 3.0
    assert torch.equal(features, ratio * others) and torch.equal(logits, same_logits)


def test_large_pictures_cost_a_bounded_number_of_positions() -> None:
    for size in (16, 64, 72, 512):
        shape = Shape(3, size, 4)
        network = Classifier(choose(DEFAULT, shape, 1000), shape).eval()
        first = network.levels[0](torch.zeros(1, 3, size, size))
        assert first.shape[-1] <= 64 and first.shape[-1] * (size // first.shape[-1]) <= size


@pytest.mark.parametrize(("labels", "has_classes", "least"), [
    (np.arange(1000) % 10, True, 0.4), (np.arange(1000) % 2, True, 2 / 3),
    (np.repeat([0, 1, 2], [700, 200, 100]), True, 0.8), (np.full(10, -1), False, 0.5)])
def test_it_must_go_a_third_of_the_way_from_guessing_to_no_error(labels: np.ndarray, has_classes: bool,
                                                                 least: float) -> None:
    assert least_accuracy(DEFAULT, labels, has_classes) == pytest.approx(least)
    fixed = DEFAULT.model_copy(update={"min_accuracy": 0.7})
    assert least_accuracy(fixed, labels, has_classes) == 0.7
