"""Which files a stage runs follows from their imports; what cannot change an out is none of them."""

import shutil
from pathlib import Path

import pytest

from aigc.core import code
from projects import ROOT

TREE = {
    "aigc/__init__.py": '"""Only a docstring."""\n',
    "aigc/start.py": (
        "from typing import TYPE_CHECKING\n"
        "import numpy\n"
        "from aigc import plain\n"
        "from aigc.room.inner import name\n"
        "from aigc.core import errors\n"
        "from aigc.tracking import run\n"
        "from aigc.training import observer\n"
        "if TYPE_CHECKING:\n    import aigc.typed\nelse:\n    import aigc.untyped\n"
        "def later():\n    import aigc.lazy\n"),
    "aigc/plain.py": "import aigc.start\n",  # a circle ends
    "aigc/room/__init__.py": "FACT = 1\n",
    "aigc/room/inner.py": "name = 1\n",
    "aigc/core/__init__.py": "",
    "aigc/core/errors.py": "import aigc.behind\n",
    "aigc/tracking/__init__.py": "import aigc.behind\n",
    "aigc/tracking/run.py": "import aigc.behind\n",
    "aigc/training/__init__.py": "",
    "aigc/training/observer.py": "import aigc.behind\n",
    **{f"aigc/{name}.py": "value = 1\n" for name in ("typed", "untyped", "lazy", "behind", "aside")},
}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(code, "SOURCE", tmp_path)
    return tmp_path


def test_the_closure_follows_imports_and_leaves_out_what_is_for_type_checkers_and_what_is_neutral(
        source: Path) -> None:
    found = code.closure("aigc.start")
    assert set(found) == {"aigc.start", "aigc.plain", "aigc.room", "aigc.room.inner", "aigc.untyped",
                          "aigc.lazy"}
    assert found["aigc.room"] == source / "aigc/room/__init__.py"


def test_what_a_neutral_module_imports_counts_where_another_imports_it_too(source: Path) -> None:
    assert "aigc.behind" not in code.closure("aigc.start")
    (source / "aigc/aside.py").write_text("import aigc.start\nfrom aigc import behind\n")
    assert "aigc.behind" in code.closure("aigc.aside")


@pytest.mark.parametrize(("file", "counts"), [
    ("training/loop.py", True), ("methods/gan.py", True), ("stages/train.py", True), ("core/files.py", True),
    ("stages/__main__.py", True), ("methods/vae.py", False), ("tracking/run.py", False),
    ("tracking/observer.py", False), ("training/observer.py", False), ("core/errors.py", False),
    ("core/code.py", False), ("commands/mend.py", False), ("metrics/frechet.py", False)])
def test_a_comment_in_a_file_that_train_runs_is_another_training_and_one_in_tracking_is_not(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, counts: bool) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "requirements.lock").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code, "SOURCE", tmp_path / "src")
    before, _ = code.fingerprint("train", "gan", {"train.seed": 0}, {})
    assert code.fingerprint("train", "gan", {"train.seed": 0}, {})[0] == before
    with (tmp_path / "src/aigc" / file).open("a") as page:
        page.write("# a remark\n")
    assert (code.fingerprint("train", "gan", {"train.seed": 0}, {})[0] != before) is counts


def test_params_deps_and_requirements_are_part_of_a_training(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requirements.lock").write_text("torch==1\n")
    asked = (({"a": 0}, {"images": "1"}), ({"a": 1}, {"images": "1"}), ({"a": 0}, {"images": "2"}))
    found = [code.fingerprint("train", "gan", params, deps)[0] for params, deps in asked]
    (tmp_path / "requirements.lock").write_text("torch==2\n")
    found.append(code.fingerprint("train", "gan", {"a": 0}, {"images": "1"})[0])
    assert len(set(found)) == 4
