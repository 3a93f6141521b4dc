"""The audit on real digits: what is planted is caught, what is new passes, and what cannot be judged stops."""

from pathlib import Path

import numpy as np
import pytest

from aigc.core.errors import DataError, GateError
from aigc.evaluation import memorization
from aigc.evaluation.config import AuditConfig
from aigc.evaluation.memorization import Audit

CHOSEN = AuditConfig(classifier_images=100, near_duplicate=0.01, max_near_duplicates=0.05)
Split = tuple[np.ndarray, np.ndarray]


def features(images: np.ndarray) -> np.ndarray:
    """Rows and columns summed: enough of a feature for the mechanics."""
    return np.concatenate([images.sum((1, 2)), images.sum((1, 3))], axis=1) / 255.0


@pytest.fixture(scope="module")
def splits(digits: tuple[np.ndarray, np.ndarray]) -> dict[str, Split]:
    images = digits[0][np.random.default_rng(0).permutation(5000)[:1400]]
    parts = {"train": images[:800], "test": images[800:1100], "holdout": images[1100:]}
    return {name: (part, features(part)) for name, part in parts.items()}


@pytest.fixture(scope="module")
def audit(splits: dict[str, Split]) -> Audit:
    return memorization.prepare(*splits["train"], *splits["test"], CHOSEN)


def test_each_planted_copycat_fails_by_a_wide_margin_and_the_real_holdout_passes_by_one(audit: Audit, splits: dict[str, Split]) -> None:
    copies = {kind: (images, features(images)) for kind, images in memorization.planted(splits["train"][0]).items()}
    verdict = memorization.control(audit, copies, splits["holdout"])
    memorization.insist(verdict, audit.limit)
    assert set(verdict) == {"copycat by noise", "copycat by shift", "copycat by flip", "holdout"}
    for name, numbers in verdict.items():
        found = numbers["pixels"]["near_duplicates"]["value"]
        assert found < 0.03 if name == "holdout" else found > 0.9


def test_a_generator_that_copies_one_picture_in_ten_fails(audit: Audit, splits: dict[str, Split]) -> None:
    images = splits["holdout"][0].copy()
    images[::10] = memorization.planted(splits["train"][0])["flip"][:len(images[::10])]
    assert not audit.score(images, features(images))[0]["passes"]


def test_a_control_that_comes_out_wrong_is_an_error_that_names_it(audit: Audit, splits: dict[str, Split]) -> None:
    fails = audit.score(*splits["train"])[0]
    passes = audit.score(*splits["holdout"])[0]
    with pytest.raises(GateError, match="the real holdout fails the memorization audit"):
        memorization.insist({"copycat by flip": fails, "holdout": fails}, audit.limit)
    with pytest.raises(GateError, match="the planted copycat by flip is not caught"):
        memorization.insist({"copycat by flip": passes, "holdout": passes}, audit.limit)


def test_what_is_kept_judges_as_what_was_prepared(audit: Audit, splits: dict[str, Split], tmp_path: Path) -> None:
    memorization.write(tmp_path, audit)
    again = memorization.read(tmp_path, splits["train"][0])
    assert again.score(*splits["holdout"])[0] == audit.score(*splits["holdout"])[0]


def test_the_table_of_the_closest_starts_with_an_exact_copy_and_flags_it(audit: Audit, splits: dict[str, Split]) -> None:
    images = splits["holdout"][0].copy()
    images[7] = splits["train"][0][5]
    rows = memorization.closest(audit, audit.locate(images, features(images)))
    assert rows[0] == {"sample": 7, "train": 5, "relative_distance": 0.0, "distance": 0.0, "flagged": 1}
    assert len(rows) == memorization.SHOWN and [row["relative_distance"] for row in rows] == sorted(row["relative_distance"] for row in rows)


def test_samples_of_one_kind_only_have_shares_and_may_lack_c_t(audit: Audit) -> None:
    same = np.full((150, 1, 28, 28), 255, dtype=np.uint8)
    numbers, _ = audit.score(same, features(same))
    assert numbers["passes"] and numbers["pixels"]["near_duplicates"]["value"] == 0


def test_too_few_pictures_for_an_audit_are_counted_in_the_error(splits: dict[str, Split]) -> None:
    images, seen = splits["test"]
    with pytest.raises(DataError, match="at least 100 training and 100 test pictures \\(found 300 and 50\\)"):
        memorization.prepare(images, seen, images[:50], seen[:50], CHOSEN)
