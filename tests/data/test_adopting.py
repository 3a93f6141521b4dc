"""`aigc data use --copy` and `--link` bring pictures below data/, and tell git and DVC, or change nothing."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.core import config
from aigc.core.errors import StorageError
from aigc.data import adopting
from aigc.data.config import DataConfig
from projects import ROOT, Run, run_in

ENOUGH = 310  # pictures that `aigc data use` accepts
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a disk needs root")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with params.yaml, dvc.yaml and data/ as they are committed."""
    folder = tmp_path / "project"
    for name in ("params.yaml", "dvc.yaml", ".gitignore", ".dvcignore", "data/.gitignore",
                 "data/source/README.md", ".dvc/config"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for words in (("init", "-q"), ("config", "user.name", "test"), ("config", "user.email", "t@example.org"),
                  ("add", "."), ("commit", "-qm", "start")):
        run_in(folder, "git", *words)
    return folder


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Pictures of two classes, with a note, a link and a damaged file beside them."""
    folder, rng = tmp_path / "My cats & dogs", np.random.default_rng(0)
    for number in range(ENOUGH):
        place = folder / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(place)
    (folder / "a" / "notes.txt").write_text("no picture")
    (folder / "a" / "broken.png").write_bytes(b"no picture")
    (folder / "b" / "again.png").symlink_to("1.png")
    return folder


def state(project: Path) -> tuple[bytes, str]:
    """params.yaml, and what git sees of the rest, ignored files too."""
    said = run_in(project, "git", "status", "--porcelain", "--ignored", "--untracked-files=all").stdout
    return (project / "params.yaml").read_bytes(), said


def test_copied_pictures_are_tracked_by_dvc_and_ready_without_a_word_to_git_by_hand(
    aigc: Run, project: Path, mine: Path
) -> None:
    said = aigc(project, "data", "use", mine, "--copy", "--yes").stdout
    place = project / "data/My-cats-dogs"
    assert "`dvc remove --outs data/My-cats-dogs.dvc` undoes it" in said
    assert config.read(project / "params.yaml")["data"]["path"] == "data/My-cats-dogs"
    assert len(list(place.rglob("*.png"))) == ENOUGH + 2 and not list(place.rglob("*.txt"))
    assert state(project)[1].splitlines()[:3] == [
        "M  data/.gitignore", "A  data/My-cats-dogs.dvc", " M params.yaml"]
    assert "up to date" in run_in(project, "dvc", "status", "data/My-cats-dogs.dvc").stdout
    assert not any(path.stat().st_nlink > 1 for path in mine.rglob("*.png") if not path.is_symlink())
    run_in(project, "dvc", "remove", "--outs", "data/My-cats-dogs.dvc")
    assert not place.exists() and (project / "data/.gitignore").read_text() == "/raw\n"


def test_linked_pictures_stay_where_they_are_and_params_names_no_place_outside(
    aigc: Run, project: Path, mine: Path
) -> None:
    aigc(project, "data", "use", mine, "--link", "--name", "pets", "--yes")
    assert (project / "data/pets").resolve() == mine
    assert config.read(project / "params.yaml")["data"]["path"] == "data/pets"
    assert state(project)[1].splitlines() == ["M  data/.gitignore", " M params.yaml", "!! data/pets"]


def test_of_an_array_its_file_alone_is_copied(aigc: Run, project: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).integers(0, 256, (400, 16, 16), dtype=np.uint8))
    (tmp_path / "other.npy").touch()
    aigc(project, "data", "use", tmp_path / "noise.npy", "--copy", "--yes")
    assert config.read(project / "params.yaml")["data"]["path"] == "data/noise/noise.npy"
    assert [path.name for path in (project / "data/noise").iterdir()] == ["noise.npy"]


@pytest.mark.parametrize(("words", "why"), [
    (["--copy", "--name", "../out"], "--name ../out: take up to 64 letters"),
    (["--copy", "--name", "raw"], "data/raw: is there already, or the pipeline's own; choose another --name"),
    (["--link", "--name", "source"], "data/source: is there already"),
    (["--name", "pets"], "--name is that of a folder below data/: add --copy or --link"),
])
def test_what_cannot_be_done_is_one_line_and_changes_nothing(
    aigc: Run, project: Path, mine: Path, words: list[str], why: str
) -> None:
    before = state(project)
    done = aigc(project, "data", "use", mine, *words, "--yes", check=False)
    error, = done.stderr.splitlines()
    assert done.returncode == 1 and error.startswith("error: ") and why in error
    assert state(project) == before


def test_where_nothing_is_agreed_nothing_is_copied(aigc: Run, project: Path, mine: Path) -> None:
    before = state(project)
    assert aigc(project, "data", "use", mine, "--copy", check=False).returncode == 2
    assert state(project) == before


def test_what_dvc_refuses_is_undone(aigc: Run, project: Path, mine: Path) -> None:
    (project / ".dvc/config").write_text("[core\n")
    before = state(project)
    done = aigc(project, "data", "use", mine, "--copy", "--yes", check=False)
    error, = done.stderr.splitlines()
    assert done.returncode == 1 and error.startswith("error: `dvc add data/My-cats-dogs` failed: ")
    assert state(project) == before


@only_root
@pytest.mark.parametrize("option", ["ro", "size=64k"])
def test_a_full_or_read_only_disk_is_one_line_and_changes_nothing(
    project: Path, mine: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = project / "data"
    kept = (data / ".gitignore").read_bytes()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", data], check=False).returncode:
        pytest.skip("this machine does not let root mount a disk")
    try:
        if option != "ro":
            (data / ".gitignore").write_bytes(kept)
        monkeypatch.chdir(project)
        before = state(project)
        stated = config.section("data", DataConfig).model_copy(update={"source": "folder", "path": str(mine)})
        why = r"^data/pets: cannot be written \(.*\); .*, or leave --\w+ out$"
        for adopted in (adopting.copied, adopting.linked) if option == "ro" else (adopting.copied,):
            with pytest.raises(StorageError, match=why), adopted(stated, Path("data/pets")):
                pytest.fail("params.yaml would have been written")
            assert state(project) == before
    finally:
        subprocess.run(["umount", data], check=True)
