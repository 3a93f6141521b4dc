"""What a stage imports and opens is what dvc.yaml says it depends on, no more and no less."""

import ast
import json
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from aigc import methods
from conftest import ROOT, run_in

STAGES = ["check", "ingest", "validate", "preprocess", "evaluator", "reference", "train@vae", "generate@gan", "evaluate@vae", "report"]
# Read by the harness (params are tracked as params; git and MLflow's own files are no data of ours).
NOT_DEPS = ("params.yaml", "dvc.lock", ".git", ".trace", ".checkpoints", "mlruns", "mlflow.db", "src/sitecustomize.py")
TEMPLATES = ["page.html", "audit_all.html", "audit_method.html", "runs.html", "style.css"]
COPIED_BESIDE_THE_MODEL = {"train@vae": [f"src/aigc/reporting/{name}" for name in TEMPLATES]}  # by MLflow; no out depends on them


def is_only_docstring(path: Path) -> bool:
    body = ast.parse(path.read_text()).body
    return len(body) == 1 and isinstance(body[0], ast.Expr)


def traced(project: Path, stage: str) -> list[str]:
    paths = json.loads((project / ".trace" / f"{stage}.json").read_text())
    ignored = COPIED_BESIDE_THE_MODEL.get(stage, [])
    return [path for path in paths if not path.startswith(NOT_DEPS) and path not in ignored and (project / path).is_file()
            and not (path.endswith("__init__.py") and is_only_docstring(project / path))]


def declared(project: Path, stage: str) -> tuple[list[str], list[str]]:
    entry = YAML(typ="safe", pure=True).load(project / "dvc.lock")["stages"][stage]
    return [dep["path"] for dep in entry["deps"]], [out["path"] for out in entry["outs"]]


def covers(declaration: str, path: str) -> bool:
    return path == declaration or path.startswith(f"{declaration}/")


@pytest.mark.parametrize("stage", STAGES)
def test_everything_a_stage_imports_and_opens_is_a_dep(finished: Path, stage: str) -> None:
    deps, outs = declared(finished, stage)
    missing = [path for path in traced(finished, stage) if not any(covers(known, path) for known in deps + outs)]
    assert not missing, f"{stage} uses what dvc.yaml does not list: {missing}"


@pytest.mark.parametrize("method", methods.available())
def test_what_the_page_of_every_method_imports_is_a_dep_of_the_stages_that_load_it(method: str) -> None:
    code = ("import importlib, sys; importlib.import_module(f'aigc.methods.{sys.argv[1]}'); "
            "print(*(module.__file__ for name, module in list(sys.modules.items()) if name.partition('.')[0] == 'aigc'), sep='\\n')")
    found = run_in(ROOT, sys.executable, "-c", code, method, PYTHONPATH="src").stdout.splitlines()
    files = [path for path in found if not (path.endswith("__init__.py") and is_only_docstring(Path(path)))]
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    for stage in ("train", "generate", "evaluate"):
        deps = [dep.replace("${item.method}", method) for dep in stages[stage]["deps"]]
        missing = [path for path in files if not any(covers(dep, str(Path(path).relative_to(ROOT))) for dep in deps)]
        assert not missing, f"{stage}@{method} uses what dvc.yaml does not list: {missing}"


@pytest.mark.parametrize("stage", STAGES)
def test_every_code_dep_of_a_stage_is_used(finished: Path, stage: str) -> None:
    deps, _ = declared(finished, stage)
    used = traced(finished, stage)
    idle = [dep for dep in deps if dep.startswith("src/")
            and not any(covers(dep, path) for path in used)]
    assert not idle, f"{stage} lists what it does not use: {idle}"
