"""Methods that are not under `methods:` by default: the recipe of each runs from train to report."""

import json
import re
from pathlib import Path

import pytest

from conftest import run_in

NAMES = ["stylegan", "transformer"]  # each has a recipe of its name


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_of_a_further_method_runs_from_train_to_report(name: str, project: Path) -> None:
    run_in(project, "aigc", "use", name, "--yes", PYTHONPATH="src")
    params = project / "params.yaml"
    before, section = params.read_text().split(f"\n{name}:")
    params.write_text(f"{before}\n{name}:" + re.sub(r"\n  images: \d+", "\n  images: 3000", section))
    run_in(project, "aigc", "deps", PYTHONPATH="src")
    run_in(project, "dvc", "repro")
    metrics = json.loads((project / f"reports/metrics/{name}.json").read_text())
    assert metrics["fid"]["value"] > 0 and metrics["own"] and "passes" in metrics["memorization"]
    assert f'<h2 id="{name}">' in (project / "reports/report.html").read_text()
    run_in(project, "git", "add", "-A")
    run_in(project, "git", "commit", "-qm", name)
    run_in(project, "aigc", "generate", name, "--n", "3", "--out", "made", PYTHONPATH="src")
    run_in(project, "aigc", "whence", *sorted((project / "made").iterdir()), PYTHONPATH="src")
