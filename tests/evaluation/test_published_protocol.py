"""The published protocol: all samples against the whole train split, beside the pipeline's own numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from aigc.core.config import section
from aigc.core.errors import ConfigError
from aigc.evaluation import published_protocol
from aigc.evaluation.config import EvaluateConfig


def theirs(real: np.ndarray, fake: np.ndarray) -> float:
    sides = [fid_features_to_statistics(torch.from_numpy(side)) for side in (real, fake)]
    return float(fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"])


def test_it_is_torch_fidelitys_fid_of_all_samples_against_all_training_pictures(
        rng: np.random.Generator, tmp_path: Path) -> None:
    train, holdout, samples = (rng.normal(shift, scale, (count, 5)).astype(np.float32)
                               for shift, scale, count in ((0, 1, 700), (0, 1, 300), (0.5, 1.5, 450)))
    floor = published_protocol.measure_real(train, holdout, tmp_path)
    found = published_protocol.measure(samples, floor, tmp_path)["fid"]
    assert floor["fid"]["value"] == pytest.approx(theirs(train, holdout), rel=1e-4)
    assert found["value"] == pytest.approx(theirs(train, samples), rel=1e-4)
    assert found["low"] < found["value"] < found["high"] and found["floor"] == floor["fid"]["value"]


def test_a_copy_of_the_training_pictures_has_the_best_value(rng: np.random.Generator, tmp_path: Path) -> None:
    train, holdout = (rng.normal(size=(400, 5)) for _ in range(2))
    floor = published_protocol.measure_real(train, holdout, tmp_path)
    assert published_protocol.measure(train, floor, tmp_path)["fid"]["value"] < 1e-6 < floor["fid"]["value"]


def test_the_protocol_names_the_split_and_the_numbers_of_pictures_where_it_is_asked_for() -> None:
    assert published_protocol.entry(EvaluateConfig(), 5, 7, 9) == {}
    config = EvaluateConfig(protocol="published")
    text = published_protocol.entry(config, 50_000, 24_000, 8_000)["published"]
    assert text == ("FID of all 50000 samples against all 24000 pictures of the train split; its floor: 8000 "
                    "holdout pictures against the same")


def test_an_unknown_protocol_names_the_key() -> None:
    with pytest.raises(ConfigError, match=r"`evaluate\.protocol`: .*'holdout-test' or 'published'"):
        section("evaluate", EvaluateConfig, {"evaluate": {"protocol": "publishd"}})
