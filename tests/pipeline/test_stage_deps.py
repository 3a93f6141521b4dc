"""What a stage imports and opens is what dvc.yaml says it depends on, no more and no less."""

import ast
import json
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from aigc import cli, methods
from aigc.commands.deps import ALL_METHODS, PER_METHOD
from aigc.core import code
from aigc.stages.__main__ import OBSERVED
from aigc.training.config import TrainConfig
from projects import ROOT, run_in

STAGES = ["check", "ingest", "validate", "preprocess", "evaluator", "reference", "train@vae", "train@gan",
          "generate@gan", "evaluate@vae", "report"]
# Read by the harness (params are tracked as params; git and MLflow's own files are no data of ours).
NOT_DEPS = ("params.yaml", "dvc.lock", ".git", ".trace", ".checkpoints", "mlruns", "mlflow.db",
            "src/sitecustomize.py")
# Read for MLflow alone, which no out depends on: the code beside a model, and the pictures of an evaluation.
FOR_OBSERVERS = {"train": [path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("*.*")
                           if path.suffix not in (".py", ".pyc")],
                 "evaluate": ["reports/plots/vae/samples.png"]}
# Of other values of evaluate.extractor.
PUBLISHED = [f"src/aigc/features/{name}.py" for name in ("clip", "dinov2", "inception", "published")]
# Opened for MLflow's curves while a method trains (train.watch): the only data that a stage opens without
# a dep on it, because no byte of an out depends on it.
WATCHED = ("models/evaluator/", "data/processed/holdout/")
# Imported inside a function that this small run does not call.
LAZY = {
    "check": ["src/aigc/model/card.py"],  # methods.load, which the stages after it call
    "reference": PUBLISHED,
    "evaluate": PUBLISHED,
}


def is_only_docstring(path: Path) -> bool:
    body = ast.parse(path.read_text()).body
    return not body or (len(body) == 1 and isinstance(body[0], ast.Expr))


def module_of(path: str) -> str:
    """src/aigc/core/files.py -> aigc.core.files"""
    return path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def is_neutral(path: str) -> bool:
    """Whether a file can change no out: see core/code."""
    name = module_of(path)
    return name == "aigc.stages" or any(name == one or name.startswith(f"{one}.") for one in code.NEUTRAL)


def listed(modules: dict[str, Path]) -> set[str]:
    return {f"src/{path.relative_to(code.SOURCE)}" for path in modules.values()}


def observers(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What MLflow's observer imports, directly or not."""
    with monkeypatch.context() as patch:
        patch.setattr(code, "NEUTRAL", ())
        return listed(code.closure("aigc.tracking.observer"))


def traced(project: Path, stage: str) -> list[str]:
    paths = json.loads((project / ".trace" / f"{stage}.json").read_text())
    name = stage.partition("@")[0]
    ignored = FOR_OBSERVERS.get(name, [])
    not_deps = (*NOT_DEPS, *(WATCHED if name == "train" else ()))
    return [path for path in paths if not path.startswith(not_deps) and path not in ignored
            and (project / path).is_file()
            and not (path.endswith("__init__.py") and is_only_docstring(project / path))]


def declared(project: Path, stage: str) -> tuple[list[str], list[str]]:
    entry = YAML(typ="safe", pure=True).load(project / "dvc.lock")["stages"][stage]
    return [dep["path"] for dep in entry["deps"]], [out["path"] for out in entry["outs"]]


def covers(declaration: str, path: str) -> bool:
    return path == declaration or path.startswith(f"{declaration}/")


@pytest.mark.parametrize("stage", STAGES)
def test_everything_a_stage_imports_and_opens_is_a_dep(
        finished: Path, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deps, outs = declared(finished, stage)
    name, _, method = stage.partition("@")
    beside = [path for path in traced(finished, stage)
              if not any(covers(known, path) for known in deps + outs)]
    mine = listed(code.of_stage(name, method or None))
    assert not mine.intersection(beside), f"{stage} runs what dvc.yaml does not list"
    watching = observers(monkeypatch) if name in OBSERVED else set()
    missing = [path for path in beside if not is_neutral(path) and path not in watching]
    assert not missing, f"{stage} uses what dvc.yaml does not list: {missing}"


def test_train_opens_the_evaluator_though_it_is_no_dep(finished: Path) -> None:
    opened = json.loads((finished / ".trace" / "train@gan.json").read_text())
    assert "models/evaluator/model.safetensors" in opened
    assert not [dep for dep in declared(finished, "train@gan")[0] if dep.startswith("models/")]


def test_train_depends_on_every_key_of_its_section_but_train_watch() -> None:
    params = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]["train"]["params"]
    assert [key for key in params if key.startswith("train")] == [
        f"train.{key}" for key in TrainConfig.model_fields if key != "watch"]


@pytest.mark.parametrize("stage", STAGES)
def test_every_code_dep_of_a_stage_is_used(finished: Path, stage: str) -> None:
    code_deps = {dep for dep in declared(finished, stage)[0] if dep.startswith("src/")}
    name, _, method = stage.partition("@")
    idle = code_deps.difference(traced(finished, stage), LAZY.get(name, []))
    pages = [f"aigc.methods.{page}" for page in methods.available()]
    if name in PER_METHOD:  # one list for all methods: families that another method's page imports
        others = listed(code.closure(*pages)) - listed(code.of_stage(name))
        assert {f"src/aigc/methods/{page}.py" for page in methods.available()} & code_deps == {
            f"src/aigc/methods/{method}.py"}
        idle -= others
    if name in ALL_METHODS:  # it reads the pages of all methods; this run has two
        idle -= listed(code.closure(*pages))
    assert not idle, f"{stage} lists what it does not use: {sorted(idle)}"


# One process imports torch for all: each page is imported in a fork, which sees no other page.
IMPORTED = """
import importlib, json, os, sys
import torch
for method in sys.argv[1:]:
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        importlib.import_module(f"aigc.methods.{method}")
        files = [module.__file__ for name, module in list(sys.modules.items()) if name.startswith("aigc.")]
        print(json.dumps({method: files}), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, method
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """{method: every file of ours that the import of its page loads}"""
    lines = run_in(ROOT, sys.executable, "-c", IMPORTED, *methods.available(), PYTHONPATH="src").stdout
    return {method: files for line in lines.splitlines() for method, files in json.loads(line).items()}


@pytest.mark.parametrize("method", methods.available())
def test_what_the_page_of_every_method_imports_is_a_dep_of_the_stages_that_load_it(
        imported: dict[str, list[str]], method: str) -> None:
    files = [str(Path(path).relative_to(ROOT)) for path in imported[method]
             if not (path.endswith("__init__.py") and is_only_docstring(Path(path)))]
    assert f"src/aigc/methods/{method}.py" in files
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    for stage in ("train", "generate", "evaluate"):
        deps = [dep.replace("${item.method}", method) for dep in stages[stage]["deps"]]
        missing = [path for path in files
                   if not is_neutral(path) and not any(covers(dep, path) for dep in deps)]
        assert not missing, f"{stage}@{method} uses what dvc.yaml does not list: {missing}"


def test_what_is_committed_is_what_aigc_deps_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.main(["deps", "--check"]) == 0


@pytest.mark.parametrize(("before", "after"), [
    ("      - src/aigc/training/loop.py\n", ""), ("      x: images\n", "      x: step\n"),
    ("      - src/aigc/training/loop.py\n", "      - src/aigc/training/loop.py\n      - src/aigc/cli.py\n")])
def test_a_dvc_yaml_that_is_not_up_to_date_is_refused_and_written_anew(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], before: str,
        after: str) -> None:
    monkeypatch.chdir(tmp_path)
    content = (ROOT / "dvc.yaml").read_text()
    assert before in content
    (tmp_path / "dvc.yaml").write_text(content.replace(before, after, 1))
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    assert cli.main(["deps", "--check"]) == 1
    assert capsys.readouterr().err == (
        "error: dvc.yaml: its code deps or plots are not up to date; run `aigc deps`\n")
    assert cli.main(["deps"]) == 0
    assert (tmp_path / "dvc.yaml").read_text() == content
