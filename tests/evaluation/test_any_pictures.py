"""`aigc evaluate`: pictures of any origin in, numbers with interval, floor and protocol out; bad input is one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aigc.core import runtime
from aigc.core.errors import DataError
from aigc.data import external
from aigc.evaluation import any_pictures
from aigc.evaluation.config import EvaluateConfig
from aigc.metrics.table import METRICS
from small import Quarters, random_pictures, write_pictures


@pytest.fixture
def quarters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_pictures, "open_extractor", lambda *_: Quarters())


def judged(real: Path, fake: Path, capsys: pytest.CaptureFixture[str], device: runtime.Device, n: int | None = None) -> dict[str, dict[str, dict[str, float]]]:
    assert any_pictures.run(real, fake, EvaluateConfig(), device, n, as_json=True) == 0
    found: dict[str, dict[str, dict[str, float]]] = json.loads(capsys.readouterr().out)
    return found


def test_a_folder_and_an_array_of_the_same_pictures_get_the_same_numbers(quarters: None, tmp_path: Path, device: runtime.Device,
                                                                        capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = random_pictures(100, channels=3), random_pictures(90, channels=3, seed=1)
    by_array = judged(write_pictures(tmp_path / "r.npy", real), write_pictures(tmp_path / "f.npy", fake.transpose(0, 2, 3, 1)), capsys, device)
    by_folder = judged(write_pictures(tmp_path / "r", real), write_pictures(tmp_path / "f", fake), capsys, device)
    assert by_array["metrics"] == by_folder["metrics"]
    assert set(by_array["metrics"]) == {metric.name for metric in METRICS}
    assert all("floor" in number and "ceiling" in number for number in by_array["metrics"].values())
    assert by_array["metrics"]["fid"]["low"] <= by_array["metrics"]["fid"]["value"] <= by_array["metrics"]["fid"]["high"]
    assert by_array["protocol"]["n"] == 50
    assert by_array["protocol"]["extractor_sha256"] == Quarters.sha256


def test_the_table_names_every_metric_its_floor_and_its_extractor(quarters: None, tmp_path: Path, device: runtime.Device,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    any_pictures.run(write_pictures(tmp_path / "r.npy", random_pictures(100)), write_pictures(tmp_path / "f.npy", random_pictures(50, seed=1)), EvaluateConfig(), device, 60 - 10, as_json=False)
    said = capsys.readouterr().out
    for words in (*(metric.name for metric in METRICS), "95% interval", "floor: 50 other real pictures", "quarters", Quarters.sha256[:16]):
        assert words in said


@pytest.mark.parametrize(("real", "fake", "n", "says"), [
    (random_pictures(100), random_pictures(30), None, "100 real and 30 fake pictures are too few"),
    (random_pictures(100), random_pictures(60), 90, "f.npy: 60 pictures, --n asks for 90; lower it"),
    (random_pictures(100), random_pictures(60), 3, "--n 3: a sample of fewer than 40"),
    (random_pictures(100), random_pictures(60, channels=3), None, "(3, 8, 8), those of"),
    (random_pictures(100), random_pictures(60).astype(np.float32), None, "f.npy: must hold uint8, found float32"),
    (random_pictures(100), random_pictures(60, channels=2), None, "of 1 or 3 channels, found (60, 2, 8, 8)"),
    (random_pictures(100), np.zeros((60, 1, 8, 8), np.uint8), None, "f.npy: all 60 pictures have the same features"),
])
def test_what_cannot_be_judged_is_one_line_that_names_it(quarters: None, tmp_path: Path, device: runtime.Device, real: np.ndarray,
                                                        fake: np.ndarray, n: int | None, says: str) -> None:
    with pytest.raises(DataError) as caught:
        any_pictures.run(write_pictures(tmp_path / "r.npy", real), write_pictures(tmp_path / "f.npy", fake), EvaluateConfig(), device, n, as_json=True)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_names_of_any_bytes_are_hashed_and_shown_in_one_line(quarters: None, tmp_path: Path, device: runtime.Device,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = write_pictures(tmp_path / "r", random_pictures(100)), write_pictures(tmp_path / "f", random_pictures(50, seed=1))
    (fake / "000.png").rename(fake / os.fsdecode(b"\xff\n.png"))
    assert len(judged(real, fake, capsys, device)["protocol"]["fake"]["sha256"]) == 64
    (fake / os.fsdecode(b"\xff\n.png")).write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        external.open_pictures(fake)[0:50]
    assert "f/\\xff\\n.png: not a whole picture" in str(caught.value) and "\n" not in str(caught.value)


def test_a_user_without_a_project_is_told_what_is_missing(tmp_path: Path) -> None:
    for name in ("r", "f"):
        write_pictures(tmp_path / f"{name}.npy", random_pictures(100))
    done = subprocess.run([sys.executable, "-m", "aigc", "evaluate", "--real", "r.npy", "--fake", "f.npy"], cwd=tmp_path, check=False,
                          capture_output=True, text=True, env={"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")})
    assert done.returncode == 1
    assert done.stderr.startswith("error: models/evaluator/config.json: missing") and done.stderr.count("\n") == 1
    assert done.stdout == ""
