"""Who watches a stage changes none of its outs."""

import shutil
import sys
from pathlib import Path

import pytest

from aigc.core.files import md5
from pipeline.test_stage_deps import declared
from projects import run_in

UNWATCHED = """
import importlib, sys
from aigc.core import config, runtime
switches = config.section("runtime", runtime.RuntimeConfig)
runtime.cap_environment(switches.arithmetic, switches.threads)
from aigc.training.observer import Observer
stage, method = sys.argv[1:]
importlib.import_module(f"aigc.stages.{stage}").run(method, Observer())
assert "mlflow" not in sys.modules
"""


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_a_stage_that_nobody_watches_writes_the_same_bytes(project: Path, finished: Path, stage: str) -> None:
    _, outs = declared(project, f"{stage}@gan")
    before = {out: contents(project / out) for out in outs}
    for out in outs:
        shutil.rmtree(project / out) if (project / out).is_dir() else (project / out).unlink()
    run_in(project, sys.executable, "-c", UNWATCHED, stage, "gan", PYTHONPATH="src")
    assert {out: contents(project / out) for out in outs} == before
    assert not (project / "mlflow.db").exists()


def contents(out: Path) -> dict[str, str]:
    """{path: md5} of every file of an out."""
    found = sorted(out.rglob("*")) if out.is_dir() else [out]
    hashes = {str(path.relative_to(out.parent)): md5(path) for path in found if path.is_file()}
    assert hashes
    return hashes
