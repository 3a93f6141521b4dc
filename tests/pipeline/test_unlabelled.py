"""A flat folder of pictures without classes, from ingest to the report."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from projects import copy_project, run_in

CHANGES = {
    "methods: [vae, gan]": "methods: [vae, flow]",
    "source: digits ": "source: folder ",
    "min_classes: 2 ": "min_classes: 1 ",
    "min_ink: 0.005 ": "min_ink: 0.0 ",
    "channels: 1 ": "channels: 3 ",
    "size: 28 ": "size: 16 ",
    "crop: 1.0 ": "crop: 0.9 ",
    "mirror: false ": "mirror: true ",
}


@pytest.mark.slow
def test_pictures_without_classes_go_to_the_report(
    tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    project = copy_project(tmp_path / "project")
    for index, digit in enumerate(digits[0][::3, 0]):
        tint = np.random.default_rng(index).uniform(0.4, 1, 3)
        Image.fromarray((digit[..., None] * tint).astype(np.uint8)).save(
            project / "data/source" / f"{index}.png"
        )
    params = (project / "params.yaml").read_text()
    for before, after in CHANGES.items():
        assert before in params
        params = params.replace(before, after)
    (project / "params.yaml").write_text(params)
    run_in(project, "git", "rm", "-rq", "--cached", "data/source")
    run_in(project, "dvc", "add", "data/source")
    run_in(project, "dvc", "repro")

    metrics = json.loads((project / "reports/metrics/flow.json").read_text())
    assert {"fid", "kid", "recall"} <= set(metrics) and not {"is", "labels"} & set(metrics)
    assert metrics["protocol"]["extractor"] == "classifier of quarter turns trained on the train split"
    assert (
        json.loads((project / "reports/metrics/evaluator.json").read_text())["accuracy"] > 0.5
    )  # a quarter is chance
    report = (project / "reports/report.html").read_text()
    assert "no classes" in report and "No licence is stated" in report
    run_in(project, "git", "add", "-A")
    run_in(project, "git", "commit", "-qm", "own pictures")
    assert (
        "identical" in run_in(project, "aigc", "verify", "--stage", "validate").stdout
    )  # its clone has no pictures but by DVC
    run_in(project, "aigc", "sync")
    run_in(project, "aigc", "generate", "flow", "--n", "2", "--out", "made")
    run_in(
        project,
        "aigc",
        "whence",
        *sorted(str(path.relative_to(project)) for path in (project / "made").iterdir()),
    )
