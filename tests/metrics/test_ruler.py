"""A value is put between the blurs, and an extractor that cannot order them is recognised."""

from typing import Any

import pytest

from aigc.metrics import ruler


def marks(fids: list[float], precisions: list[float], reach: float = 0.02) -> dict[str, Any]:
    return {name: {"fid": {"value": fid},
                   "precision": {"value": share, "low": share - reach, "high": share + reach}}
            for name, fid, share in zip(ruler.BLURS, fids, precisions, strict=True)}


GOOD = marks([1, 4, 16, 100], [0.9, 0.8, 0.7, 0.6])


@pytest.mark.parametrize(("fid", "text"), [
    (0.5, "real pictures"), (1, "real pictures"), (4, "blur of sigma 0.5"), (9, "blur of sigma 0.75"),
    (49, "blur of sigma 1.5"), (100, "blur of sigma 2"), (101, "beyond blur of sigma 2"),
])
def test_a_fid_is_linear_between_the_blurs_in_its_root(fid: float, text: str) -> None:
    assert str(ruler.as_far_as(fid, GOOD)) == text


def test_a_higher_fid_is_never_a_weaker_blur() -> None:
    sigmas = [ruler.as_far_as(fid / 10, GOOD).sigma for fid in range(1200)]
    assert sigmas == sorted(sigmas) and sigmas[-1] == 2


@pytest.mark.parametrize(("fids", "precisions", "says"), [
    ([1, 4, 16, 100], [0.9, 0.8, 0.7, 0.6], ""),
    ([1, 4, 16, 100], [0.9, 0.91, 0.7, 0.6], ""),
    ([4, 4, 16, 100], [0.9, 0.8, 0.7, 0.6], "FID is 4 for real pictures and 4 for"),
    ([1, 4, 3, 100], [0.9, 0.8, 0.7, 0.6], "FID is 4 for blur of sigma 0.5 and 3 for"),
    ([1, 4, 16, 15], [0.9, 0.8, 0.7, 0.6], "FID is 16 for blur of sigma 1 and 15 for blur of sigma 2"),
    ([1, 4, 16, 100], [0.9, 0.95, 0.7, 0.6], "precision is 0.9 for real pictures and 0.95 for blur"),
    ([1, 4, 16, 100], [0.9, 0.9, 0.9, 0.89], "precision is 0.9 for real pictures and 0.89 for"),
])
def test_the_first_pair_that_is_not_in_order_is_named(fids: list[float], precisions: list[float],
                                                      says: str) -> None:
    problem = ruler.disorder(marks(fids, precisions))
    assert problem.startswith(says) and bool(problem) == bool(says)


def test_every_mark_has_a_title() -> None:
    damages = {*ruler.BLURS, *ruler.NOISES, ruler.SHUFFLED, ruler.CLASS_MEANS, ruler.CLASSES_DROPPED}
    assert ruler.TITLES.keys() == damages
