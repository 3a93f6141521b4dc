"""`aigc data use` fits params.yaml to pictures: afterwards `aigc data check` finds them ready."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc import cli
from aigc.core import config
from projects import ROOT


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of nothing but the committed params.yaml; the working directory."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aigc.core.runtime.cap_environment", lambda *_: None)
    monkeypatch.setattr("aigc.workspace.root.enter", lambda _: None)
    return tmp_path


def fill(folder: Path, classes: dict[str, int], mode: str = "RGBA", size: tuple[int, int] = (40, 40)) -> Path:
    rng = np.random.default_rng(0)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            noise = rng.integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
            Image.fromarray(noise, "RGBA").convert(mode).save(folder / name / f"{number}.png")
    return folder


def used(*words: str) -> dict[str, object]:
    """The keys that `aigc data use` changed, with their values."""
    before = config.flatten(config.read())
    assert cli.main(["data", "use", *words, "--yes"]) == 0
    return {key: value for key, value in config.flatten(config.read()).items() if before[key] != value}


def test_transparent_colour_pictures_are_ready_afterwards(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = used(str(fill(place / "icons", {"a": 340, "b": 220, "c": 20})))
    shown = capsys.readouterr().out
    assert "100% of them are transparent: whole, on the background" in shown and "train" in shown
    assert changed["methods"] == ["vae", "dcgan", "cgan", "flow"] and changed["train.balanced"] is True
    wanted = {"data.source": "folder", "data.path": str(place / "icons"), "preprocess.size": 32,
              "preprocess.channels": 3, "preprocess.fit": "pad", "validate.min_rows": 522,
              "evaluate.sample_size": 110, "vae.likelihood": "gaussian"}
    assert {key: changed[key] for key in wanted} == wanted
    assert "  size: 32                  # pixels a side" in (place / "params.yaml").read_text()
    assert cli.main(["data", "check", "icons"]) == 0
    assert used("icons") == {}


def test_few_grey_pictures_without_classes_get_larger_splits_and_methods_that_need_none(place: Path) -> None:
    changed = used(str(fill(place / "mine", {"": 400}, "L", (20, 60))), "--size", "16")
    assert (changed["preprocess.size"], changed["validate.min_classes"], changed["data.split.test"]) == (
        16, 1, 0.34)
    assert changed["methods"] == ["autoencoder", "vae", "gan", "wgan_gp", "dcgan", "r3gan", "flow"]
    assert "preprocess.channels" not in changed and "train.mirror" not in changed
    assert cli.main(["data", "check", "mine"]) == 0


def test_of_pictures_that_look_alike_the_audit_gets_a_limit_that_finds_planted_copies(place: Path) -> None:
    rng = np.random.default_rng(0)
    (place / "alike").mkdir()
    for number, image in enumerate(rng.integers(0, 240, (160, 16, 16))):
        for brighter in (0, 15):
            shown = Image.fromarray((image + brighter).astype(np.uint8))
            shown.save(place / "alike" / f"{number}-{brighter}.png")
    changed = used("alike")
    assert (changed["audit.near_duplicate"], changed["audit.max_near_duplicates"]) == (0.15, 0.25)


@pytest.mark.parametrize(("classes", "words", "why"), [
    ({"a": 5}, [], "5 pictures that can be used; the metrics need 309: 100 to compare with"),
    ({"a": 310}, ["--size", "30"], "`preprocess.size`: a side is a multiple of 8 from 16 to 512, or 28"),
    ({}, [], "no picture"),
])
def test_what_cannot_be_fitted_is_one_line_and_changes_nothing(
    place: Path, classes: dict[str, int], words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "mine").mkdir()
    fill(place / "mine", classes)
    before = (place / "params.yaml").read_bytes()
    assert cli.main(["data", "use", "mine", *words, "--yes"]) == 1
    error, = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ") and why in error
    assert (place / "params.yaml").read_bytes() == before


def test_without_a_terminal_nothing_is_written_unless_agreed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(place / "mine", {"a": 310})
    before = (place / "params.yaml").read_bytes()
    assert cli.main(["data", "use", "mine"]) == 2
    assert "add --yes to write" in capsys.readouterr().err
    assert (place / "params.yaml").read_bytes() == before
