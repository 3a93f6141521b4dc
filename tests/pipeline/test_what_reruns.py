"""docs/architecture.md says which stages run again after an edit. DVC is asked whether that is so."""

import ast
import fnmatch
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from aigc.core import config, files
from projects import ROOT, run_in

REMARK = {".py": "# a remark\n", ".html": "{# a remark #}\n", ".css": "/* a remark */\n",
          ".js": "// a remark\n", ".md": "<!-- a remark -->\n"}
SOURCE = "src/aigc"
STAGES = (
    "check",
    "ingest",
    "validate",
    "preprocess",
    "evaluator",
    "reference",
    "train",
    "generate",
    "evaluate",
    "report",
)
FROM_TRAINING_ON = {"evaluator", "reference", "train", "generate", "evaluate"}
# What surrounds the pipeline: an edit there costs no computation.
AROUND = re.compile(r"(commands|exporting|orchestration|playground|provenance|reporting|reproduction|serving|"
                    r"sweep|tracking|workspace)/.*|(cli|__main__)\.py|core/(errors|process|sharing|version|code)\.py")
OF_THE_SAMPLES = "reporting/grid.py"  # draws the sheet that `generate` writes
NAME = "NAME"
METHODS = config.methods(config.read(ROOT / "params.yaml"))


def rows(heading: str) -> list[tuple[list[str], set[str]]]:
    """(code spans of the first column, stages of the second) of the table under `heading`."""
    text = (ROOT / "docs/architecture.md").read_text()
    table = text.partition(f"| {heading} | these stages run again |\n|---|---|\n")[2].partition("\n\n")[0]
    found = []
    for line in table.splitlines():
        _, first, second, _ = line.split("|")
        named = set(re.findall(r"`([^`]+)`", second))
        assert named or second.strip() in ("none", "all"), line
        found.append((re.findall(r"`([^`]+)`", first), set(STAGES) if second.strip() == "all" else named))
    return found


def expanded(pattern: str) -> list[str]:
    """`a/{b,c}.py` as its alternatives."""
    head, brace, rest = pattern.partition("{")
    inside, _, tail = rest.partition("}")
    return [f"{head}{part}{tail}" for part in inside.split(",")] if brace else [pattern]


def collapsed(stages: set[str], name: str = "") -> set[str]:
    """train@gan of every method is train; of the method `name` alone it is train@NAME."""
    pages = set(METHODS)
    groups = {
        stage.partition("@")[0]: {
            other.partition("@")[2] for other in stages if other.startswith(f"{stage.partition('@')[0]}@")
        }
        for stage in stages
    }
    return {
        group if of in (set(), pages) else f"{group}@{NAME if of == {name} else sorted(of)}"
        for group, of in groups.items()
    }


@pytest.fixture(scope="module")
def status(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """{source file or section of params.yaml: stages} from `dvc status` in a clone where each was edited.

    The clone's dvc.lock says that every stage was made with the clone's own files and params.
    """
    from dvc.dependency.param import ParamsDependency
    from dvc.repo import Repo

    folder = tmp_path_factory.mktemp("reruns") / "clone"
    run_in(ROOT, "git", "clone", "-q", ROOT, folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        lock: dict[str, Any] = {}
        for stage in Repo().index.stages:
            lock[stage.addressing] = {"cmd": stage.cmd, "deps": [], "params": {}}
            for dep in stage.deps:
                if isinstance(dep, ParamsDependency):
                    lock[stage.addressing]["params"]["params.yaml"] = dep.read_params()
                elif dep.def_path.startswith(SOURCE):
                    entry = {"path": dep.def_path, "hash": "md5", "md5": files.md5(Path(dep.def_path)),
                             "size": Path(dep.def_path).stat().st_size}
                    lock[stage.addressing]["deps"].append(entry)
        YAML().dump({"schema": "2.0", "stages": lock}, Path("dvc.lock"))
        assert modified(Repo().status()) == {"files": {}, "params": {}}
        for path in Path(SOURCE).rglob("*.*"):
            with path.open("a") as page:
                page.write(REMARK[path.suffix])
        content = YAML(typ="safe", pure=True).load(Path("params.yaml"))
        for section in {*content} - {*config.UNPARSED}:
            key = next(name for name, value in content[section].items() if not isinstance(value, dict))
            content[section][key] = f"{content[section][key]}, edited"
        YAML().dump(content, Path("params.yaml"))
        return modified(Repo().status())
    finally:
        os.chdir(before)


def modified(status: dict[str, Any]) -> dict[str, dict[str, set[str]]]:
    found: dict[str, dict[str, set[str]]] = {"files": {}, "params": {}}
    for stage, changes in status.items():
        for change in changes:
            for path, state in (change.get("changed deps", {}) if isinstance(change, dict) else {}).items():
                if path.startswith(SOURCE) and state == "modified":
                    found["files"].setdefault(path.removeprefix(f"{SOURCE}/"), set()).add(stage)
                elif path == "params.yaml":
                    for key, how in state.items():
                        if how == "modified":
                            found["params"].setdefault(key.partition(".")[0], set()).add(stage)
    return found


def is_only_a_docstring(path: Path) -> bool:
    return path.suffix == ".py" and len(ast.parse(path.read_text()).body) <= 1


PAGES = sorted(str(path.relative_to(ROOT / SOURCE)) for path in (ROOT / SOURCE).rglob("*")
               if path.suffix in REMARK and not (path.name == "__init__.py" and is_only_a_docstring(path)))
OF_METHODS = {f"methods/{name}.py": name for name in METHODS}
OF_STAGES = {f"stages/{name}.py": name for name in STAGES}


def matching(pattern: str) -> dict[str, str]:
    """{source file: what NAME stands for in it} of the files that a pattern of the table means."""
    if NAME in pattern:
        return {
            path: name
            for path, name in {**OF_METHODS, **OF_STAGES}.items()
            if path == pattern.replace(NAME, name)
        }
    return {path: "" for path in PAGES for one in expanded(pattern) if fnmatch.fnmatchcase(path, one)}


@pytest.mark.parametrize(("patterns", "stages"), rows("edit"), ids=lambda value: " ".join(sorted(value)))
def test_the_table_says_which_stages_run_again_after_an_edit(
        status: dict[str, dict[str, set[str]]], patterns: list[str], stages: set[str]) -> None:
    for pattern in patterns:
        found = matching(pattern)
        assert found, f"no file is called {pattern}"
        for path, name in found.items():
            wanted = {name if stage == NAME else stage for stage in stages}
            assert collapsed(status["files"].get(path, set()), name) == wanted, path


@pytest.mark.parametrize(
    ("sections", "stages"), rows("section of `params.yaml`"), ids=lambda value: " ".join(sorted(value))
)
def test_the_table_says_which_stages_run_again_after_another_value(
        status: dict[str, dict[str, set[str]]], sections: list[str], stages: set[str]) -> None:
    for section in METHODS if sections == [NAME] else sections:
        assert collapsed(status["params"][section], section) == stages, section


def test_no_training_and_no_evaluation_runs_again_after_an_edit_of_what_surrounds_the_pipeline(
        status: dict[str, dict[str, set[str]]]) -> None:
    around = [path for path in PAGES if AROUND.fullmatch(path) and path != OF_THE_SAMPLES]
    assert len(around) > 40
    assert {
        path: found
        for path in around
        if (found := collapsed(status["files"].get(path, set())) & FROM_TRAINING_ON)
    } == {}
