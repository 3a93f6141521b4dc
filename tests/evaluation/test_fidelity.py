"""Features for the metrics: finite, from the extractor of each metric, and the same real statistics from
disk.
"""

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
    broken = Quarters()
    monkeypatch.setattr(broken, "extract", lambda images: Features(np.full((len(images), 2), np.nan),
                                                                  np.zeros((len(images), 2))))
    with pytest.raises(DataError, match="fake: picture 0 has features that are not finite"):
        fidelity.extract_checked(broken, random_pictures(50), "fake", 40)


def test_real_statistics_that_are_read_from_disk_give_the_same_numbers(tmp_path: Path,
                                                                       rng: np.random.Generator) -> None:
    settings = fidelity.settings_of(EvaluateConfig(sample_size=40))
    no_logits = np.zeros((60, 0))
    real = fidelity.real_statistics({fidelity.MAIN: Features(rng.normal(size=(60, 5)), no_logits)}, settings)
    fidelity.write_real_statistics(tmp_path, real)
    features = {fidelity.MAIN: Features(rng.normal(size=(90, 5)), rng.normal(size=(90, 4)))}
    read = fidelity.read_real_statistics(tmp_path, settings)
    numbers = fidelity.measure(read, features, settings)
    assert numbers == fidelity.measure(real, features, settings)
    assert set(numbers) == {metric.name for metric in METRICS}
