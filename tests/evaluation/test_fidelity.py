"""What the metrics compare: features that are finite, and a real side that is the same from disk."""

from pathlib import Path

import numpy as np
import pytest

from aigc.core.errors import DataError
from aigc.evaluation import fidelity
from aigc.evaluation.config import EvaluateConfig
from aigc.features.contract import Features
from aigc.metrics.table import METRICS
from small import Quarters, random_pictures


def test_features_that_are_not_finite_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    blind = Quarters()
    monkeypatch.setattr(blind, "extract", lambda images: Features(np.full((len(images), 2), np.nan),
                                                                  np.zeros((len(images), 2))))
    with pytest.raises(DataError, match="fake: picture 0 has features that are not finite"):
        fidelity.extract_checked(blind, random_pictures(50), "fake", 40)


def test_the_real_side_is_the_same_from_disk(tmp_path: Path, rng: np.random.Generator) -> None:
    chosen = fidelity.settings_of(EvaluateConfig(sample_size=40))
    nothing = np.zeros((60, 0))
    real = fidelity.real_sides({fidelity.MAIN: Features(rng.normal(size=(60, 5)), nothing)}, chosen)
    fidelity.write_real_sides(tmp_path, real)
    found = {fidelity.MAIN: Features(rng.normal(size=(90, 5)), rng.normal(size=(90, 4)))}
    again = fidelity.read_real_sides(tmp_path, chosen)
    numbers = fidelity.measure(again, found, chosen)
    assert numbers == fidelity.measure(real, found, chosen)
    assert set(numbers) == {metric.name for metric in METRICS}
