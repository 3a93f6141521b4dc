"""`aigc data check` says what the pipeline would do, and changes nothing."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aigc import cli
from aigc.core import config, runtime
from aigc.core.errors import ConfigError, DataError, GateError
from aigc.data import check
from aigc.data.config import DataConfig

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml for few, colourful pictures; the working directory."""
    text = (ROOT / "params.yaml").read_text()
    for before, after in {
        "min_rows: 1000": "min_rows: 20",
        "max_ink: 0.6": "max_ink: 1.0",
        "sample_size: 1000": "sample_size: 100",
        "channels: 1": "channels: 3",
    }.items():
        assert before in text
        text = text.replace(before, after)
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(folder: Path, count: int = 600) -> Path:
    rng = np.random.default_rng(0)
    for number in range(count):
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)).save(
            folder / "ab"[number % 2] / f"{number}.png"
        )
    return folder


def test_good_pictures_are_ready_and_the_settings_are_told(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.run(fill(place / "mine"), 1) == 0
    told = capsys.readouterr().out
    assert "600 found: 600 used, 0 quarantined" in told and "a 300, b 300" in told
    assert f"data.source: folder, data.path: {place / 'mine'}" in told
    assert sorted(path.name for path in place.iterdir()) == ["mine", "params.yaml"]


def test_what_stands_in_the_way_is_told_with_its_remedy(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(place / "mine", 12)
    (place / "mine/a/bad.png").write_text("words")
    with pytest.raises(
        GateError,
        match=r"7\.7% of the pictures cannot be used.*expectations fail \(rows\).*evaluate\.sample_size",
    ):
        check.run(place / "mine", 1)
    assert "a/bad.png: no PNG" in capsys.readouterr().out


def test_what_is_left_out_and_classes_that_differ_little_are_said(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(place / "mine")
    (place / "mine/b").rename(place / "mine/A")
    for name in ("@eaDir/1.png", "a/Thumbs.db", "a/._1.png", "words.txt"):
        (place / "mine" / name).parent.mkdir(exist_ok=True)
        (place / "mine" / name).write_text("words")
    assert check.run(place / "mine", 1) == 0
    told = capsys.readouterr().out
    assert "600 found: 600 used, 0 quarantined; 2 other files ignored" in told
    assert "left out: ._* 1, .txt 1, @eaDir 1, Thumbs.db 1\n" in told
    assert 'warning: ' in told and '"A" and "a"; join them if they are one class' in told


def test_one_class_is_not_enough(place: Path) -> None:
    fill(place / "mine")
    shutil.rmtree(place / "mine/b")
    with pytest.raises(GateError, match=r"\(.*classes.*\).*cgan needs classes"):
        check.run(place / "mine", 1, lambda: ["cgan"])


def test_a_kind_of_source_is_recognised_by_what_lies_there(place: Path) -> None:
    given = config.section("data", DataConfig)
    for name, kind in (
        ("x-images-idx3-ubyte.gz", "idx"),
        ("images.npy", "npy"),
        ("labels.csv", "csv"),
        ("y-images.idx3-ubyte", "idx"),
        ("cifar-10-binary.tar.gz", "cifar10"),
    ):
        folder = place / kind
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
        assert check.recognise(folder, given).source == kind
    assert check.recognise(place / "csv" / "labels.csv", given).path == str(place / "csv")
    assert check.recognise(place / "npy" / "images.npy", given).source == "npy"


@pytest.mark.parametrize("name", ["absent", "params.yaml"])
def test_a_path_of_no_use_is_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (place / "dvc.yaml").touch()
    monkeypatch.setattr(runtime, "cap_environment", lambda *_: None)  # stands already: tests/conftest.py
    assert cli.main(["data", "check", name]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_fifo_is_no_source(place: Path) -> None:
    os.mkfifo(place / "pipe")
    with pytest.raises(ConfigError, match="pipe: neither a folder nor a file; name a folder of pictures"):
        check.recognise(place / "pipe", config.section("data", DataConfig, config.read(ROOT / "params.yaml")))


def test_the_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["data", "check", "--help"])
    assert ended.value.code == 0
    assert "Nothing in the project changes" in " ".join(capsys.readouterr().out.split())


def test_a_reference_that_is_no_manifest_is_named_with_what_to_do(place: Path) -> None:
    fill(place / "mine", 40)
    (place / "data/reference").mkdir(parents=True)
    reference = place / "data/reference/manifest.parquet"
    pd.DataFrame({"label": [1]}).to_parquet(reference)
    with pytest.raises(
        DataError,
        match=r"data/reference/manifest\.parquet: column .* is missing; put the manifest\.parquet of an",
    ):
        check.run(place / "mine", 1)
    reference.write_bytes(reference.read_bytes()[:-7])
    with pytest.raises(
        DataError, match=r"data/reference/manifest\.parquet: not a whole Parquet file .* or delete it$"
    ):
        check.run(place / "mine", 1)
