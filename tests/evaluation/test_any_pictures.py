"""`aigc evaluate`: any pictures give numbers with interval, floor and protocol; bad input is one line."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.core import runtime
from aigc.core.errors import DataError
from aigc.core.runtime import RuntimeConfig
from aigc.data import external
from aigc.evaluation import any_pictures
from aigc.evaluation.config import EvaluateConfig
from aigc.metrics import damages, ruler
from aigc.metrics.table import METRICS
from aigc.provenance import drawing
from aigc.provenance.texts import is_contact_sheet
from projects import Run
from small import Quarters, Spectrum, random_pictures, small_model, write_pictures


@pytest.fixture
def quarters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_pictures, "open_extractor", lambda *_: Quarters())


def evaluate(real: Path, fake: Path, device: runtime.Device, n: int | None, as_json: bool) -> int:
    return any_pictures.run(real, fake, EvaluateConfig(), device, n, as_json, is_contact_sheet)


def judged(real: Path, fake: Path, capsys: pytest.CaptureFixture[str], device: runtime.Device,
           n: int | None = None) -> dict[str, dict[str, dict[str, float]]]:
    assert evaluate(real, fake, device, n, as_json=True) == 0
    found: dict[str, dict[str, dict[str, float]]] = json.loads(capsys.readouterr().out)
    return found


def test_a_folder_and_an_array_of_the_same_pictures_get_the_same_numbers(
        quarters: None, tmp_path: Path, device: runtime.Device, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = random_pictures(100, channels=3), random_pictures(90, channels=3, seed=1)
    by_array = judged(
        write_pictures(tmp_path / "r.npy", real),
        write_pictures(tmp_path / "f.npy", fake.transpose(0, 2, 3, 1)),
        capsys,
        device,
    )
    by_folder = judged(
        write_pictures(tmp_path / "r", real), write_pictures(tmp_path / "f", fake), capsys, device
    )
    assert by_array["metrics"] == by_folder["metrics"]
    assert set(by_array["metrics"]) == {metric.name for metric in METRICS}
    assert all("floor" in number and "ceiling" in number for number in by_array["metrics"].values())
    fid = by_array["metrics"]["fid"]
    assert fid["low"] <= fid["value"] <= fid["high"]
    assert by_array["protocol"]["n"] == 50
    assert by_array["protocol"]["extractor_sha256"] == Quarters.sha256


def test_the_table_names_every_metric_its_floor_and_its_extractor(
        quarters: None, tmp_path: Path, device: runtime.Device, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(
        write_pictures(tmp_path / "r.npy", random_pictures(100)),
        write_pictures(tmp_path / "f.npy", random_pictures(50, seed=1)),
        device,
        50,
        as_json=False,
    )
    output = capsys.readouterr().out
    for words in (*(metric.name for metric in METRICS), "95% interval", "floor: 50 other real pictures",
                  "quarters", Quarters.sha256[:16]):
        assert words in output


def test_the_ruler_says_which_blur_is_as_far_from_real_pictures(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: runtime.Device,
        digits: tuple[np.ndarray, np.ndarray], capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(any_pictures, "open_extractor", lambda *_: Spectrum())
    real, fake = digits[0][::2], damages.blurred(digits[0][1:800:4], [], sigma=1.5)
    places = [write_pictures(tmp_path / f"{name}.npy", side) for name, side in (("r", real), ("f", fake))]
    any_pictures.run(*places, EvaluateConfig(), device, 200, False, is_contact_sheet, with_ruler=True)
    said, = re.findall(r"as far from real pictures as: blur of sigma (\S+)\.", capsys.readouterr().out)
    assert 1.2 < float(said) < 1.8
    any_pictures.run(*places, EvaluateConfig(), device, 200, True, is_contact_sheet, with_ruler=True)
    found = json.loads(capsys.readouterr().out)
    assert list(found["ruler"]) == list(ruler.BLURS)
    assert found["ruler"]["undamaged"]["fid"]["value"] == found["metrics"]["fid"]["floor"]
    with pytest.raises(DataError, match=r"r\.npy: 2500 pictures, the ruler needs 2600, twice n; lower --n"):
        any_pictures.run(places[0], places[0], EvaluateConfig(), device, 1300, True, is_contact_sheet, True)


@pytest.mark.parametrize(
    ("real", "fake", "n", "says"),
    [
        (random_pictures(100), random_pictures(30), None, "100 real and 30 fake pictures are too few"),
        (random_pictures(100), random_pictures(60), 90, "f.npy: 60 pictures, --n asks for 90; lower it"),
        (random_pictures(100), random_pictures(60), 3, "--n 3: fewer than 40 pictures are too few"),
        (
            random_pictures(100),
            random_pictures(60)[..., :6],
            None,
            "f.npy: (height, width) are (8, 6), those of",
        ),
        (random_pictures(100), random_pictures(60).astype(np.float32), None, "f.npy: float32, not uint8"),
        (
            random_pictures(100),
            random_pictures(60, channels=2),
            None,
            "f.npy: shape (60, 2, 8, 8); pictures are",
        ),
        (
            random_pictures(100),
            np.zeros((60, 1, 8, 8), np.uint8),
            None,
            "f.npy: all 60 pictures have the same features",
        ),
    ],
)
def test_what_cannot_be_judged_is_one_line_that_names_it(
        quarters: None, tmp_path: Path, device: runtime.Device, real: np.ndarray, fake: np.ndarray,
        n: int | None, says: str) -> None:
    with pytest.raises(DataError) as caught:
        evaluate(
            write_pictures(tmp_path / "r.npy", real),
            write_pictures(tmp_path / "f.npy", fake),
            device,
            n,
            as_json=True,
        )
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_the_faults_of_both_sides_are_said_at_once(tmp_path: Path, device: runtime.Device) -> None:
    for name in ("r", "f"):
        (write_pictures(tmp_path / name, random_pictures(3)) / "001.png").write_bytes(b"words")
    with pytest.raises(
        DataError, match=r"r: 1 of 3 pictures .*; .*f: 1 of 3 pictures cannot be judged: 001\.png: no PNG"
    ) as caught:
        evaluate(tmp_path / "r", tmp_path / "f", device, None, as_json=True)
    assert "\n" not in str(caught.value)


def test_grey_and_colour_are_judged_as_colour_with_a_word(
        quarters: None, tmp_path: Path, device: runtime.Device, capsys: pytest.CaptureFixture[str]) -> None:
    grey, colour = random_pictures(100), random_pictures(60, channels=3, seed=1)
    by_hand = judged(
        write_pictures(tmp_path / "r.npy", np.repeat(grey, 3, axis=1)),
        write_pictures(tmp_path / "f.npy", colour),
        capsys,
        device,
    )
    assert (
        evaluate(write_pictures(tmp_path / "r", grey), tmp_path / "f.npy", device, None, as_json=True) == 0
    )
    output = capsys.readouterr()
    assert json.loads(output.out)["metrics"] == by_hand["metrics"]
    assert "r: grey, and the other set is not; it is converted to colour" in output.err


def test_tiffs_and_sub_folders_are_judged_and_what_is_left_out_is_said(
        quarters: None, tmp_path: Path, device: runtime.Device, capsys: pytest.CaptureFixture[str]) -> None:
    real, images = write_pictures(tmp_path / "r.npy", random_pictures(200)), random_pictures(100, seed=1)
    folder = write_pictures(tmp_path / "f", images[:60])
    (folder / "more").mkdir()
    for index, image in enumerate(images[60:]):
        Image.fromarray(image[0]).save(folder / "more" / f"{index:03}.tif")
    (folder / "notes.txt").write_text("words")
    assert evaluate(real, folder, device, None, as_json=True) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["protocol"]["fake"]["pictures"] == 100
    assert "f: 100 pictures are judged; left out: .txt 1\n" in output.err


def test_a_contact_sheet_of_aigc_generate_is_left_out_and_a_sheet_of_others_is_a_picture(
    tmp_path: Path,
) -> None:
    settings = RuntimeConfig(arithmetic="portable", threads=2)
    drawing.write_pictures("gan", str(small_model(tmp_path, "gan")), 3, 0, tmp_path / "out", None, settings)
    assert (tmp_path / "out/gan-seed0-sheet.png").exists()
    opened = external.open_pictures(tmp_path / "out", any_pictures.WHITE, is_contact_sheet)
    assert opened.stack.shape == (3, 1, 16, 16)
    assert opened.notes == [
        f"{tmp_path / 'out'}: 3 pictures are judged; left out: contact sheets of aigc generate 1"
    ]
    Image.new("L", (16, 16)).save(tmp_path / "out/winding-sheet.png")
    assert external.open_pictures(tmp_path / "out", any_pictures.WHITE, is_contact_sheet).stack.shape == (
        4,
        1,
        16,
        16,
    )


def test_names_of_any_bytes_are_hashed_and_shown_in_one_line(
        quarters: None, tmp_path: Path, device: runtime.Device, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = (
        write_pictures(tmp_path / "r", random_pictures(100)),
        write_pictures(tmp_path / "f", random_pictures(50, seed=1)),
    )
    (fake / "000.png").rename(fake / os.fsdecode(b"\xff\n.png"))
    assert len(judged(real, fake, capsys, device)["protocol"]["fake"]["sha256"]) == 64
    (fake / os.fsdecode(b"\xff\n.png")).write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        evaluate(real, fake, device, None, as_json=True)
    assert "pictures cannot be judged: \\xff\\n.png: no PNG" in str(caught.value) and "\n" not in str(
        caught.value
    )


def test_outside_of_a_project_the_missing_classifier_is_named(tmp_path: Path, aigc: Run) -> None:
    for name in ("r", "f"):
        write_pictures(tmp_path / f"{name}.npy", random_pictures(100))
    done = aigc(tmp_path, "evaluate", "--real", "r.npy", "--fake", "f.npy", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: models/evaluator/config.json: missing")
    assert done.stderr.count("\n") == 1 and done.stdout == ""
