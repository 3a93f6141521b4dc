"""The ruler is measured as methods are, and stops a run whose extractor cannot judge the pictures."""

from typing import Any

import numpy as np
import pytest

from aigc.core.errors import GateError
from aigc.core.runtime import Device
from aigc.data.pictures import Pictures
from aigc.evaluation import fidelity, ruler_marks
from aigc.evaluation.config import EvaluateConfig
from aigc.metrics import ruler
from small import Quarters, Spectrum

N = 200
CONFIG = EvaluateConfig(sample_size=N)
SETTINGS = fidelity.settings_of(CONFIG)


class Mean(Quarters):
    """An extractor that sees the mean of each quarter alone, which a blur hardly changes."""


def measured(extractor: Quarters, device: Device, pictures: Pictures, test: np.ndarray) -> dict[str, Any]:
    extractors = fidelity.Extractors(extractor, CONFIG, device)
    real = fidelity.real_statistics(extractors.extract(test, "test", N), SETTINGS)
    holdout = extractors.extract(pictures.images, "holdout", N)
    return ruler_marks.measure(real, extractors, pictures, holdout, 0, SETTINGS)


@pytest.fixture
def pictures(digits: tuple[np.ndarray, np.ndarray]) -> Pictures:
    images, labels = digits
    return Pictures(images[::20], labels[::20], [str(digit) for digit in range(10)])


def test_the_real_digits_have_every_mark_and_a_fit_extractor_orders_them(
        device: Device, pictures: Pictures, digits: tuple[np.ndarray, np.ndarray]) -> None:
    marks = measured(Spectrum(), device, pictures, digits[0][10::25])
    assert marks.keys() == ruler.TITLES.keys()
    ruler_marks.check(marks, Spectrum().protocol())
    assert marks == measured(Spectrum(), device, pictures, digits[0][10::25]), "not the same twice"


def test_an_extractor_that_does_not_see_blur_is_named_and_stops_the_run(
        device: Device, pictures: Pictures, digits: tuple[np.ndarray, np.ndarray]) -> None:
    marks = measured(Mean(), device, pictures, digits[0][10::25])
    says = r"the extractor \(quarters, [0-9a-f]{16}\) cannot judge these pictures: .*evaluate.extractor"
    with pytest.raises(GateError, match=says) as caught:
        ruler_marks.check(marks, Mean().protocol())
    assert "\n" not in str(caught.value)


def test_pictures_without_classes_have_no_damages_of_classes(pictures: Pictures) -> None:
    unlabelled = Pictures(pictures.images, np.full(len(pictures), -1), [])
    names = [name for name, _ in ruler_marks.damaged(unlabelled, N, 0)]
    assert not {ruler.CLASS_MEANS, ruler.CLASSES_DROPPED} & set(names) and len(names) == 7


def test_two_classes_cannot_be_dropped_of_two(pictures: Pictures) -> None:
    two = Pictures(pictures.images, pictures.labels % 2, ["even", "odd"])
    names = [name for name, _ in ruler_marks.damaged(two, N, 0)]
    assert ruler.CLASS_MEANS in names and ruler.CLASSES_DROPPED not in names


def test_a_picture_is_damaged_alike_in_blocks_of_any_size(pictures: Pictures) -> None:
    for name, stack in ruler_marks.damaged(pictures, N, 0):
        whole = stack[0:N]
        assert whole.shape == stack.shape == (N, 1, 28, 28) and len(stack) == N
        assert (np.concatenate([stack[start:start + 70] for start in range(0, N, 70)]) == whole).all(), name


def test_the_damages_of_classes_are_of_the_classes_that_they_name(pictures: Pictures) -> None:
    stacks = dict(ruler_marks.damaged(pictures, N, 0))
    dropped = {picture.tobytes() for picture in stacks[ruler.CLASSES_DROPPED][0:N]}
    kept = {picture.tobytes() for picture in pictures.images[pictures.labels < 8]}
    assert dropped <= kept
    means = stacks[ruler.CLASS_MEANS][0:N]
    of_three = pictures.images[:N][pictures.labels[:N] == 3]
    assert (means[pictures.labels[:N] == 3] == np.rint(of_three.mean(0))).all()
