"""A method that learns from some of the classes is judged by these, at the n that there is."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from aigc.core import files, paths
from aigc.core.errors import DataError
from aigc.core.runtime import Device
from aigc.data import pictures
from aigc.data.pictures import Pictures
from aigc.evaluation import some_classes
from aigc.evaluation.audit import AuditContext, Splits
from aigc.evaluation.config import AuditConfig, EvaluateConfig

LIMITS = AuditConfig(survey=1000, classifier_images=1, near_duplicate=0.01, max_near_duplicates=0.05)
COUNTS = {"train": [50, 5, 60], "holdout": [130, 300, 120], "test": [90, 300, 70]}


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: Device) -> AuditContext:
    """Of splits whose pictures have the shade 10 times their class; n is 400."""
    monkeypatch.chdir(tmp_path)
    splits: dict[str, Pictures] = {}
    for name, counts in COUNTS.items():
        labels = np.repeat(np.arange(3), counts)
        images = np.tile((10 * labels).astype(np.uint8)[:, None, None, None], (1, 1, 4, 4))
        files.write_npy(paths.PROCESSED / name / "images.npy", images)
        pictures.write_labels(paths.PROCESSED / name, labels, ["a", "b", "c"])
        splits[name] = pictures.open_folder(paths.PROCESSED / name)
    nobody = cast(Any, None)
    return AuditContext(EvaluateConfig(sample_size=400), LIMITS, Splits(**splits, learned=splits["train"]),
                        nobody, nobody, device)


@pytest.mark.parametrize(("samples", "n"), [(500, 160), (120, 120), (160, 160)])
def test_n_is_the_smallest_number_of_pictures_and_all_are_of_the_classes(
    context: AuditContext, samples: int, n: int
) -> None:
    found = some_classes.narrowed(context, ["c", "a"], samples)
    assert found.size == n and found.config.seed == context.config.seed
    for split in (found.splits.test, found.splits.holdout, found.splits.learned):
        assert set(split.labels.tolist()) == {0, 2} and split.classes == ["a", "b", "c"]
        assert np.array_equal(split.images[:][:, 0, 0, 0], 10 * split.labels)
    assert len(found.splits.train) == 115 and len(found.splits.learned) == 110
    first = np.bincount(found.splits.test.labels[:n], minlength=3) / n  # a block of n has its share of each
    assert first == pytest.approx([90 / 160, 0, 70 / 160], abs=0.01)


def test_n_is_no_larger_than_that_of_the_other_methods(context: AuditContext) -> None:
    smaller = EvaluateConfig(sample_size=110)
    context = AuditContext(smaller, LIMITS, context.splits, *[cast(Any, None)] * 2, context.device)
    assert some_classes.narrowed(context, ["a", "c"], 500).size == 110


@pytest.mark.parametrize(("names", "samples", "says"), [
    (["a", "c"], 99, "99 samples are of a or c, at least 100 are needed"),
    (["c"], 500, "70 pictures of data/processed/test are of c, at least 100 are needed"),
])
def test_too_few_pictures_are_one_line(
    context: AuditContext, names: list[str], samples: int, says: str
) -> None:
    with pytest.raises(DataError, match=says) as caught:
        some_classes.narrowed(context, names, samples)
    assert "\n" not in str(caught.value)
