"""The methods that are not under `methods:` by default run from train to report on the small project."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from projects import run_in

METHODS = ["stylegan", "transformer", "cyclegan"]  # each has a recipe of its name


def add(project: Path, method: str) -> dict[str, Any]:
    """Train, sample, evaluate and report `method` besides vae; its metrics."""
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("methods: [vae, gan]", f"methods: [vae, {method}]"))
    run_in(project, "aigc", "deps", PYTHONPATH="src")
    run_in(project, "dvc", "repro")
    metrics: dict[str, Any] = json.loads((project / f"reports/metrics/{method}.json").read_text())
    return metrics


def weights(project: Path, method: str) -> str:
    return hashlib.sha256((project / f"models/{method}/model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_is_no_default_runs_from_train_to_report_and_gives_the_same_bytes_again(
    project: Path, method: str
) -> None:
    metrics = add(project, method)
    assert {"fid", "memorization", "collapse"} <= set(metrics)
    assert metrics["protocol"]["weights_sha256"] == weights(project, method)
    report = (project / "reports/report.html").read_text()
    assert f'id="{method}"' in report
    run_in(project, "dvc", "repro", "--force", "--single-item", f"train@{method}")
    assert metrics["protocol"]["weights_sha256"] == weights(project, method)


@pytest.mark.slow
def test_translations_are_judged_by_pictures_of_their_classes_and_made_again_from_their_sources(
    project: Path
) -> None:
    metrics = add(project, "cyclegan")
    real = {name: np.load(project / f"data/processed/{name}/labels.npy") for name in ("holdout", "test")}
    counts = {name: {label: int((labels == label).sum()) for label in (3, 8)}
              for name, labels in real.items()}
    made = np.load(project / "data/generated/cyclegan/labels.npy")
    assert len(made) == 2 * min(counts["holdout"].values())
    protocol = metrics["protocol"]
    assert protocol["classes"] == ["3", "8"] and protocol["samples"] == len(made)
    assert protocol["n"] == min(300, len(made), *(sum(count.values()) for count in counts.values()))
    assert metrics["fid"]["floor"] < metrics["fid"]["value"] < metrics["fid"]["ceiling"]
    assert 0 <= metrics["labels"]["gan_test"]["value"] <= 1 and metrics["own"]["cycle_error"]["value"] > 0
    assert "cyclegan learns from 3 and 8 alone" in (project / "reports/report.html").read_text()

    holdout = np.load(project / "data/processed/holdout/images.npy")
    digit = holdout[np.flatnonzero(real["holdout"] == 8)[0], 0]
    Image.fromarray(digit).save(project / "digit.png")
    run_in(project, "aigc", "generate", "cyclegan", "--source", "digit.png", "--class", "3", "--out", "out")
    picture = project / "out/cyclegan-seed0-000000-class0.png"
    of_the_pipeline = np.load(project / "data/generated/cyclegan/images.npy")[0, 0]
    assert np.array_equal(np.asarray(Image.open(picture)), of_the_pipeline)
    refused = run_in(project, "aigc", "whence", picture, check=False)
    assert refused.returncode == 1 and "no such source" in refused.stdout
    assert "identical" in run_in(project, "aigc", "whence", picture, "--source", "digit.png").stdout
