"""Real folders of pictures get through the gate after `aigc data use`, without an editor.

A folder that is not on this machine is skipped. AIGC_PICTURES names a folder with more of them.
"""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from aigc.core import files
from projects import copy_project, run_in

MORE = Path(os.environ.get("AIGC_PICTURES", "/nonexistent"))
# name: (places, the least pictures, its channels after `aigc data use`)
SETS = {
    "Debian's oxygen-icon-theme": ([Path("/usr/share/icons/oxygen/base/48x48"), MORE / "icons"], 500, 3),
    "Debian's dataset-fashion-mnist": ([Path("/usr/share/datasets/fashion-mnist")], 70_000, 1),
    "npm's emoji-datasource-twitter, img/twitter/64": ([MORE / "emoji"], 3_000, 3),
    "CIFAR-10 as JPEG, a folder a class": ([MORE / "cifar10"], 500, 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_real_pictures_pass_the_gate_after_one_command(name: str, tmp_path: Path) -> None:
    places, least, channels = SETS[name]
    place = next((place for place in places if place.is_dir()), None)
    if place is None:
        pytest.skip(f"not on this machine: {name}")
    project = copy_project(tmp_path / "project")
    run_in(project, sys.executable, "-m", "aigc", "data", "use", place, "--copy", "--name", "mine", "--yes",
           PYTHONPATH="src")
    staged = run_in(project, "git", "diff", "--cached", "--name-only").stdout.split()
    assert staged == ["data/.gitignore", "data/mine.dvc"]
    run_in(project, "dvc", "repro", "preprocess")
    verdict = files.read_json(project / "reports/validation/result.json")
    assert verdict["success"]
    splits = [np.load(project / f"data/processed/{split}/images.npy", mmap_mode="r")
              for split in ("train", "holdout", "test")]
    assert sum(map(len, splits)) >= least and all(split.shape[1] == channels for split in splits)
