"""Each method that is not in the default `methods:`, from its training to the report and a picture."""

import json
from pathlib import Path

import pytest

from conftest import copy_project, run_in

METHODS = ["stylegan"]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_is_not_trained_by_default_goes_to_the_report(tmp_path: Path, method: str) -> None:
    project = copy_project(tmp_path / "project")
    params = project / "params.yaml"
    text = params.read_text()
    assert "methods: [vae, gan]" in text
    params.write_text(text.replace("methods: [vae, gan]", f"methods: [{method}]"))
    run_in(project, "dvc", "repro")

    metrics = json.loads((project / f"reports/metrics/{method}.json").read_text())
    assert {"fid", "kid", "recall"} <= set(metrics) and "memorization" in metrics
    assert method in (project / "reports/report.html").read_text()
    run_in(project, "aigc", "generate", method, "--n", "2", "--out", "made")
    made = sorted(str(path.relative_to(project)) for path in (project / "made").iterdir())
    assert run_in(project, "aigc", "whence", *made).stdout.count(": identical") == len(made) == 3
