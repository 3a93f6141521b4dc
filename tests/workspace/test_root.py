"""A command acts on the project around it, wherever inside it was started; outside it makes nothing."""

import os
import sys
from pathlib import Path

import pytest

from conftest import ROOT, run_in
from small import small_model
from stores import CODE


def test_a_command_from_a_sub_folder_acts_on_the_project_and_paths_start_where_the_user_is(tmp_path: Path) -> None:
    small_model(tmp_path / "models", "gan")
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    below = tmp_path / "notes/2026"
    below.mkdir(parents=True)
    command = (sys.executable, "-m", "aigc")
    run_in(below, *command, "generate", "gan", "--n", 1, "--out", "made", **CODE)
    assert [path.name for path in (below / "made").iterdir()] == ["gan-seed0-000000.png"]
    assert not (tmp_path / "made").exists()
    done = run_in(below, *command, "whence", "made/gan-seed0-000000.png", **CODE)
    assert ": identical" in done.stdout and "models/gan" in done.stdout
    assert not list(below.glob("*.db")) and {path.name for path in below.iterdir()} == {"made"}


@pytest.mark.parametrize("command", [
    ["sync"], ["record"], ["mend"], ["runs"], ["promote", "gan"], ["generate", "gan", "--out", "made"], ["params"],
    ["verify"], ["reproduce", "0123"], ["deps"], ["data", "check", "."], ["ui"]], ids=" ".join)
def test_outside_of_a_project_nothing_is_made_and_one_line_says_so(tmp_path: Path, command: list[str]) -> None:
    done = run_in(tmp_path, sys.executable, "-m", "aigc", *command, check=False, **CODE)
    assert done.returncode == 1
    assert done.stderr == (f"error: {tmp_path}: no dvc.yaml here or in a folder above; "
                           "run inside a clone of the project\n")
    assert os.listdir(tmp_path) == []  # noqa: PTH208
