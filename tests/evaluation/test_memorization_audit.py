"""The memorization audit on real digits: copies are detected, new pictures pass, too few pictures are an
error.
"""

from pathlib import Path

import numpy as np
import pytest

from aigc.core.errors import DataError, GateError
from aigc.evaluation import memorization_audit
from aigc.evaluation.config import AuditConfig
from aigc.evaluation.memorization_audit import Audit
from aigc.metrics import memorization

CONFIG = AuditConfig(survey=1000, classifier_images=100, near_duplicate=0.01, max_near_duplicates=0.05)
Split = tuple[np.ndarray, np.ndarray]


def features(images: np.ndarray) -> np.ndarray:
    """The sums of rows and columns."""
    return np.concatenate([images.sum((1, 2)), images.sum((1, 3))], axis=1) / 255.0


@pytest.fixture(scope="module")
def splits(digits: tuple[np.ndarray, np.ndarray]) -> dict[str, Split]:
    images = digits[0][np.random.default_rng(0).permutation(5000)[:1400]]
    parts = {"train": images[:800], "test": images[800:1100], "holdout": images[1100:]}
    return {name: (part, features(part)) for name, part in parts.items()}


@pytest.fixture(scope="module")
def audit(splits: dict[str, Split]) -> Audit:
    return memorization_audit.prepare_audit(*splits["train"], *splits["test"], CONFIG)


def test_each_copycat_fails_and_the_real_holdout_passes_by_a_wide_margin(audit: Audit,
                                                                         splits: dict[str, Split]) -> None:
    copies = {alteration: (images, features(images))
              for alteration, images in memorization_audit.copycats(splits["train"][0]).items()}
    measured = memorization_audit.measure_controls(audit, copies, splits["holdout"])
    memorization_audit.check_controls(measured, audit.limit)
    assert set(measured) == {"copycat by noise", "copycat by shift", "copycat by flip", "holdout"}
    for name, numbers in measured.items():
        share = numbers["pixels"]["near_duplicates"]["value"]
        assert share < 0.03 if name == "holdout" else share > 0.9


def test_a_generator_that_copies_one_picture_in_ten_fails(audit: Audit, splits: dict[str, Split]) -> None:
    images = splits["holdout"][0].copy()
    images[::10] = memorization_audit.copycats(splits["train"][0])["flip"][:len(images[::10])]
    assert not audit.measure(images, features(images))[0]["passes"]


def test_a_control_with_the_wrong_result_is_an_error_that_names_it(audit: Audit,
                                                                   splits: dict[str, Split]) -> None:
    fails = audit.measure(*splits["train"])[0]
    passes = audit.measure(*splits["holdout"])[0]
    with pytest.raises(GateError, match="the real holdout fails the memorization audit"):
        memorization_audit.check_controls({"copycat by flip": fails, "holdout": fails}, audit.limit)
    with pytest.raises(GateError, match="the control `copycat by flip` is not detected"):
        memorization_audit.check_controls({"copycat by flip": passes, "holdout": passes}, audit.limit)


def test_an_audit_that_is_read_from_disk_gives_the_same_numbers(audit: Audit, splits: dict[str, Split],
                                                                tmp_path: Path) -> None:
    memorization_audit.write(tmp_path, audit)
    again = memorization_audit.read(tmp_path, splits["train"][0])
    assert again.measure(*splits["holdout"])[0] == audit.measure(*splits["holdout"])[0]


def test_the_table_of_nearest_pairs_starts_with_an_exact_copy_and_flags_it(audit: Audit,
                                                                           splits: dict[str, Split]) -> None:
    images = splits["holdout"][0].copy()
    images[7] = splits["train"][0][5]
    rows = memorization_audit.nearest_pairs(audit, audit.find_nearest(images, features(images)))
    assert rows[0] == {"sample": 7, "train": 5, "relative_distance": 0.0, "distance": 0.0, "flagged": 1}
    distances = [row["relative_distance"] for row in rows]
    assert len(rows) == memorization_audit.SHOWN and distances == sorted(distances)


def test_samples_that_are_all_equal_have_shares_and_may_lack_c_t(audit: Audit) -> None:
    same = np.full((150, 1, 28, 28), 255, dtype=np.uint8)
    numbers, _ = audit.measure(same, features(same))
    assert numbers["passes"] and numbers["pixels"]["near_duplicates"]["value"] == 0


def test_too_few_pictures_for_an_audit_are_an_error_with_their_number(splits: dict[str, Split]) -> None:
    images, features_ = splits["test"]
    with pytest.raises(DataError, match="at least 100 training and 100 test pictures \\(found 300 and 50\\)"):
        memorization_audit.prepare_audit(images, features_, images[:50], features_[:50], CONFIG)


@pytest.fixture(scope="module")
def surveyed(digits: tuple[np.ndarray, np.ndarray]) -> tuple[dict[str, Split], Audit]:
    """4,200 training digits, of which 1,000 stand for all where pairs count."""
    images = digits[0][np.random.default_rng(1).permutation(5000)]
    parts = {"train": images[:4200], "test": images[4200:4600], "holdout": images[4600:]}
    splits = {name: (part, features(part)) for name, part in parts.items()}
    train = splits["train"][0]
    rows = memorization_audit.sampled(len(train), CONFIG)
    assert rows is not None and len(np.unique(rows)) == len(rows) == CONFIG.survey
    return splits, memorization_audit.prepare_audit(train, features(train[rows]), *splits["test"], CONFIG)


def test_a_survey_finds_copies_of_pictures_outside_its_sample(surveyed: tuple[dict[str, Split], Audit]
                                                              ) -> None:
    splits, audit = surveyed
    train = splits["train"][0]
    copies = {name: (images, features(images)) for name, images in memorization_audit.copycats(train).items()}
    measured = memorization_audit.measure_controls(audit, copies, splits["holdout"])
    memorization_audit.check_controls(measured, audit.limit)
    for name, numbers in measured.items():
        share = numbers["pixels"]["near_duplicates"]["value"]
        assert share < 0.03 if name == "holdout" else share > 0.9
        assert numbers["survey"] == {"pictures": 4200, "sample": 1000}
    known = audit.views["pixels"].training
    outside = np.setdiff1d(np.arange(4200), known.rows)[:300]
    found = audit.find_nearest(train[outside][..., ::-1], features(train[outside]))["pixels"]
    assert (found.index == outside).mean() > 0.99 and (found.distance[found.index == outside] == 0).all()


def test_a_survey_never_finds_a_nearer_picture_than_the_exact_search(surveyed: tuple[dict[str, Split], Audit]
                                                                     ) -> None:
    splits, audit = surveyed
    images, points = splits["holdout"][0][:100], memorization.as_points(splits["train"][0])
    exact = memorization.find_nearest_augmented(images, memorization.TrainingPoints(points, points, points))
    found = audit.find_nearest(images, features(images))["pixels"]
    assert (found.distance >= exact.distance - 1e-5).all()
    assert np.median(found.distance / exact.distance) < 1.2


def test_density_in_a_survey_is_that_of_the_sample_without_the_picture_itself(
        surveyed: tuple[dict[str, Split], Audit]) -> None:
    splits, audit = surveyed
    known = audit.views["pixels"].training
    points = memorization.as_points(splits["train"][0])
    for row in (int(known.rows[3]), int(np.setdiff1d(np.arange(4200), known.rows)[5])):
        others = known.rows[known.rows != row]
        distances = np.sort(np.linalg.norm(points[others].astype(float) - points[row], axis=1))
        index = np.array([row, row])
        np.testing.assert_allclose(known.nearest_of(index), distances[[0, 0]], rtol=1e-6)
        np.testing.assert_allclose(known.local_of(index), distances[:10].mean(), rtol=1e-6)


def test_a_survey_is_read_as_it_was_written(surveyed: tuple[dict[str, Split], Audit], tmp_path: Path) -> None:
    splits, audit = surveyed
    memorization_audit.write(tmp_path, audit)
    again = memorization_audit.read(tmp_path, splits["train"][0])
    assert again.measure(*splits["holdout"])[0] == audit.measure(*splits["holdout"])[0]
