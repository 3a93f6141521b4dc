"""A command acts on the project around it, wherever inside it was started; outside it makes nothing."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from projects import ROOT, Run, run_in
from small import random_pictures, small_model, write_pictures
from stores import CODE


def test_a_command_from_a_sub_folder_acts_on_the_project_and_paths_start_where_the_user_is(
        tmp_path: Path, aigc: Run) -> None:
    small_model(tmp_path / "models", "gan")
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    below = tmp_path / "notes/2026"
    below.mkdir(parents=True)
    aigc(below, "generate", "gan", "--n", 1, "--out", "made")
    assert [path.name for path in (below / "made").iterdir()] == ["gan-seed0-000000.png"]
    assert not (tmp_path / "made").exists()
    done = aigc(below, "whence", "made/gan-seed0-000000.png")
    assert ": identical" in done.stdout and "models/gan" in done.stdout
    assert not list(below.glob("*.db")) and {path.name for path in below.iterdir()} == {"made"}


@pytest.mark.parametrize("command", [
    ["sync"], ["record"], ["mend"], ["runs"], ["promote", "gan"], ["generate", "gan", "--out", "made"],
    ["params"], ["verify"], ["reproduce", "0123"], ["deps"], ["data", "check", "."], ["ui"]], ids=" ".join)
def test_outside_of_a_project_nothing_is_made_and_one_line_says_so(
        tmp_path: Path, command: list[str]) -> None:
    done = run_in(tmp_path, sys.executable, "-m", "aigc", *command, check=False, **CODE)
    assert done.returncode == 1
    assert done.stderr == (f"error: {tmp_path}: no dvc.yaml here or in a folder above; "
                           "run inside a clone of the project\n")
    assert os.listdir(tmp_path) == []  # noqa: PTH208


AIGC = (sys.executable, "-m", "aigc")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an untrained model, and a sub-folder notes/."""
    folder = tmp_path / "project"
    small_model(folder / "models", "gan")
    for name in ("dvc.yaml", "params.yaml"):
        (folder / name).write_text((ROOT / name).read_text())
    (folder / "notes").mkdir()
    return folder


def test_a_model_may_be_named_by_its_path_from_where_the_user_is_or_by_a_name(
        project: Path, aigc: Run) -> None:
    shutil.move(project / "models/gan", project / "notes/mine")
    aigc(project / "notes", "generate", "--model", "mine", "--n", 1, "--out", "made")
    picture = project / "notes/made/gan-seed0-000000.png"
    done = aigc(project / "notes", "whence", "--model", "mine/config.json", "made/gan-seed0-000000.png")
    assert f"{picture}: identical" in done.stdout and done.stderr == f"in {project}:\n"
    wrong = aigc(project / "notes", "whence", "--model", "absent", picture, check=False)
    assert (
        wrong.returncode == 1
        and "error: absent: missing; a model is its folder" in wrong.stderr
    )
    assert {path.name for path in (project / "notes").iterdir()} == {"made", "mine"}


def test_from_the_root_a_path_is_shown_as_it_was_typed(project: Path, aigc: Run) -> None:
    done = aigc(project, "generate", "gan", "--n", 1, "--out", "notes/made")
    assert done.stdout.startswith("notes/made: 1 picture of gan") and done.stderr == ""


def test_evaluate_looks_for_weights_and_pictures_where_the_user_is(project: Path, aigc: Run) -> None:
    (project / "notes/weights.pth").write_bytes(b"other bytes")
    for name in ("real", "fake"):
        write_pictures(project / "notes" / name, np.repeat(random_pictures(80), 3, axis=1))
    done = aigc(project / "notes", "evaluate", "--real", "real", "--fake", "fake", "--weights", "weights.pth",
                check=False)
    assert done.returncode == 1 and f"error: {project}/notes/weights.pth: " in done.stderr


FOREIGN = "stages:\n  other:\n    cmd: python train.py\n"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (
            {"dvc.yaml": FOREIGN, "params.yaml": "lr: 1\n"},
            "/dvc.yaml: of another project, it runs no stage of ours",
        ),
        ({"dvc.yaml": (ROOT / "dvc.yaml").read_text()}, ": has dvc.yaml and no params.yaml"),
        ({"dvc.yaml": "", "params.yaml": ""}, "/dvc.yaml: of another project, it runs no stage of ours"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [["sync"], ["mend"], ["runs"], ["reproduce", "0123"], ["generate", "gan", "--out", "made"]],
    ids=" ".join,
)
def test_in_a_folder_of_another_dvc_project_nothing_is_made(
    tmp_path: Path, written: dict[str, str], reason: str, command: list[str]
) -> None:
    for name, content in written.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "below").mkdir()
    done = run_in(tmp_path / "below", *AIGC, *command, check=False, **CODE)
    assert (done.returncode, done.stderr) == (
        1,
        f"error: {tmp_path}{reason}; run inside a clone of the project\n",
    )
    assert {path.name for path in tmp_path.rglob("*")} == {*written, "below"}


def test_a_project_inside_of_another_dvc_project_is_the_nearest_one_and_one_inside_of_ours_is_not_ours(
        project: Path, aigc: Run) -> None:
    (project.parent / "dvc.yaml").write_text(FOREIGN)
    assert "gan.images" in aigc(project / "notes", "params", "gan").stdout
    (project / "notes/dvc.yaml").write_text(FOREIGN)
    done = aigc(project / "notes", "params", "gan", check=False)
    assert done.returncode == 1 and "notes: has dvc.yaml and no params.yaml" in done.stderr


def test_a_command_that_needs_no_project_works_beside_another_one(project: Path, aigc: Run) -> None:
    aigc(project, "generate", "gan", "--n", 1, "--out", "notes/made")
    (project / "dvc.yaml").write_text(FOREIGN)
    done = aigc(project / "notes", "whence", "--model", "../models/gan", "made/gan-seed0-000000.png")
    assert done.stdout.startswith("made/gan-seed0-000000.png: identical") and done.stderr == ""
    (project / "params.yaml").write_text("evaluate: {epochs: 1}\n")
    write_pictures(project / "real", random_pictures(80))
    done = aigc(project, "evaluate", "--real", "real", "--fake", "real", check=False)
    assert (
        "models/evaluator" in done.stderr and "params.yaml" not in done.stderr
    )  # which it has none of; not the other's params


def test_a_folder_that_a_symbolic_link_put_elsewhere_belongs_to_the_project(
    project: Path, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    (project / "data").symlink_to(tmp_path / "disk")
    done = run_in(
        tmp_path,
        "sh",
        "-c",
        f'cd {project}/data && "$0" -m aigc generate gan --n 1 --out made',
        sys.executable,
        **CODE,
    )
    assert done.stderr == f"in {project}:\n" and (tmp_path / "disk/made/gan-seed0-000000.png").exists()
