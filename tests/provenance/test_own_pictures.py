"""People's own pictures beside their reconstructions and translations, which `aigc whence` makes again."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.core.errors import AigcError, StorageError
from aigc.core.runtime import RuntimeConfig
from aigc.provenance import drawing, examination, own_pictures, texts
from projects import ROOT, run_in
from small import project_with, small_model, verdicts

SWITCHES = RuntimeConfig(arithmetic="portable", threads=1)
CLASS = "kind 1"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return project_with(tmp_path, "vae", "cyclegan")


@pytest.fixture
def own(home: Path) -> list[Path]:
    """Pictures of several sizes, modes and formats."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 31, 4), np.uint8)
    colour = Image.fromarray(pixels)
    shown = {"a.png": colour.convert("L"), "b.jpg": colour.convert("RGB"), "c.png": colour,
             "d.gif": colour.convert("P"), "e.png": Image.fromarray(pixels[..., 0].astype(np.uint16) * 257),
             "f.png": colour.convert("1")}
    for name, picture in shown.items():
        picture.save(home / name)
    return [home / name for name in shown]


def reconstruct(pictures: list[Path], model: str = "vae") -> list[Path]:
    own_pictures.reconstruct(model, pictures, Path("out"), SWITCHES)
    return sorted(Path("out").iterdir())


def translate(pictures: list[Path], model: str = "cyclegan", wanted: str | None = CLASS,
              processed: str = "") -> list[Path]:
    own_pictures.translate(model, pictures, wanted, Path("out"), SWITCHES, processed)
    return sorted(Path("out").iterdir())


def pair(sheet: Path, index: int, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """The original and what was made of it, in the first row of a sheet of pairs."""
    left = 6 + index * (2 * side + 7)
    row = np.asarray(Image.open(sheet))[::2, ::2][6:6 + side]
    return row[:, left:left + side], row[:, left + side + 1:left + 2 * side + 1]


@pytest.mark.parametrize("method", ["autoencoder", "transformer", "vae"])
def test_pictures_of_any_kind_are_reconstructed_and_made_again_from_their_files(
    home: Path, own: list[Path], method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small_model(home / "models", method, gain=2)
    made = reconstruct(own, method)
    assert len({np.asarray(Image.open(path)).tobytes() for path in made}) == 7
    assert [path.name for path in made] == [
        f"{method}-reconstruction-{end}.png" for end in (*(f"00000{index}" for index in range(6)), "sheet")]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in own]
    assert [texts.examine(path).claim.translated_sha256 for path in made] == [*hashes, " ".join(hashes)]
    assert verdicts(made, own, capsys) == [examination.IDENTICAL] * 7
    assert verdicts(made[:1], [], capsys) == [examination.NO_SOURCE]


def test_the_sheet_shows_the_fitted_original_beside_its_file_and_the_error_is_theirs(
    own: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    made, printed = reconstruct(own), capsys.readouterr().out.splitlines()
    grey = Image.open(own[0])  # 31 x 40
    square = grey.crop((0, 4, 31, 35)).resize((16, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(pair(made[-1], 0)[0], np.asarray(square))
    for index, path in enumerate(made[:-1]):
        original, beside = pair(made[-1], index)
        assert np.array_equal(beside, np.asarray(Image.open(path)))
        error = np.square((original.astype(float) - beside) / 127.5).mean()
        assert printed[1 + index].split() == [f"{error:.4f}", str(own[index]), "->", str(path)]
    assert "from -1 (black) to 1 (white)" in printed[0]


def test_a_sheet_with_real_pictures_is_called_a_composite_and_the_others_generated(own: list[Path]) -> None:
    *made, sheet = (path.read_bytes() for path in reconstruct(own[:1]))
    assert b"digitalsourcetype/compositeSynthetic" in sheet and b"trainedAlgorithmicMedia" not in sheet
    assert all(b"digitalsourcetype/trainedAlgorithmicMedia" in content for content in made)


def test_a_reconstruction_has_the_same_bytes_alone_and_among_more_than_a_block(own: list[Path]) -> None:
    alone = reconstruct(own[1:2])[0].read_bytes()
    own_pictures.reconstruct("vae", [own[0]] * 128 + own[1:2], Path("many"), SWITCHES)
    claim = replace(texts.examine(Path("many/vae-reconstruction-000128.png")).claim, index="0")
    assert texts.encode(Image.open("many/vae-reconstruction-000128.png"), claim) == alone


def test_translations_are_the_files_of_generate_and_stand_beside_their_sources(
    own: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    *made, sheet = translate(own)
    drawing.write_pictures("cyclegan", None, None, 0, Path("same"), CLASS, SWITCHES, {}, own)
    for path in made:
        assert path.read_bytes() == (Path("same") / path.name).read_bytes()
    assert sheet.name == "cyclegan-seed0-pairs-sheet-class1.png" and texts.is_contact_sheet(sheet)
    for index, path in enumerate(made):
        assert np.array_equal(pair(sheet, index)[1], np.asarray(Image.open(path)))
    assert verdicts([*made, sheet], own, capsys) == [examination.IDENTICAL] * 7
    assert verdicts([sheet], own[1:], capsys) == [examination.NO_SOURCE]


def test_upscaled_translations_stand_beside_sources_of_their_size(
    own: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    made = translate(own[:2], processed="denoise=0.5 upscale=2")
    assert Image.open(made[0]).size == (32, 32)
    assert Image.open(made[-1]).size == (2 * 65 + 3 * 6, 32 + 2 * 6)
    assert verdicts(made, own, capsys) == [examination.IDENTICAL] * 3


def test_what_claims_to_show_something_else_is_told(
    own: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    reconstruction, sheet = reconstruct(own[:1])
    claims = {path: texts.examine(path).claim for path in (reconstruction, sheet)}
    forged = {
        "a translation.png": (reconstruction, {"shows": ""}),
        "another label.png": (reconstruction, {"label": "3"}),
        "a seed.png": (reconstruction, {"seed": "1"}),
        "a way.png": (sheet, {"shows": "interpolation as=row"}),
        "another source.png": (reconstruction,
                               {"translated_sha256": hashlib.sha256(own[1].read_bytes()).hexdigest()}),
    }
    for name, (path, changes) in forged.items():
        Path(name).write_bytes(texts.encode(Image.open(path), replace(claims[path], **changes)))
    assert verdicts([Path(name) for name in forged], own, capsys) == [
        *[examination.FORGED] * 4, examination.DIFFERS]


@pytest.mark.parametrize(("work", "model", "message"), [
    (reconstruct, "cyclegan", "cyclegan does not reconstruct pictures; autoencoder, transformer, vae do"),
    (translate, "vae", "vae does not translate pictures; cyclegan does"),
    (reconstruct, "veo", "unknown model `veo`: no folder, run id or method; did you mean `vae`?"),
])
def test_a_method_that_cannot_names_those_that_can(
    own: list[Path], work: object, model: str, message: str
) -> None:
    with pytest.raises(AigcError, match=message) as told:
        work(own, model)
    assert "\n" not in str(told.value) and not Path("out").exists()


def test_a_translation_without_a_class_names_the_classes(own: list[Path]) -> None:
    with pytest.raises(AigcError, match=r"name it with --class \(kind 0 or kind 1\)"):
        translate(own, wanted=None)


@pytest.mark.parametrize("work", [reconstruct, translate])
def test_an_unreadable_picture_a_damaged_model_and_a_lost_file_stop_it_before_anything_is_written(
    own: list[Path], work: object
) -> None:
    own[1].write_text("words")
    for bad, says in ((own[1], r"b\.jpg: no PNG"), (Path("nowhere.png"), r"nowhere\.png: cannot be read"),
                      (Path("models"), "models: a folder; name the files of pictures in it")):
        with pytest.raises(AigcError, match=says):
            work([own[0], bad])
        assert not Path("out").exists()
    with pytest.raises(StorageError, match=r"params\.yaml/x.*: cannot be written"):
        (own_pictures.reconstruct("vae", own[:1], Path("params.yaml/x"), SWITCHES) if work is reconstruct else
         own_pictures.translate("cyclegan", own[:1], CLASS, Path("params.yaml/x"), SWITCHES))
    made = work(own[:1])
    made[-1].write_bytes(b"a diary")
    first = made[0].read_bytes()
    made[0].unlink()
    with pytest.raises(StorageError, match="sheet.*: exists and is another picture"):
        work(own[:1])
    assert not made[0].exists() and made[-1].read_bytes() == b"a diary" and first
    card = Path(f"models/{'vae' if work is reconstruct else 'cyclegan'}/config.json")
    card.write_text(card.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(StorageError, match=r"config\.json: was changed after it was written"):
        work(own[:1])


@pytest.mark.slow
def test_the_commands_do_all_this_from_a_folder_below_the_project(home: Path, own: list[Path]) -> None:
    below = home / "below"
    below.mkdir()

    def aigc(*words: object, check: bool = True) -> str:
        done = run_in(below, "python", "-m", "aigc", *words, check=check, PYTHONPATH=str(ROOT / "src"))
        return done.stdout if check else done.stderr.splitlines()[-1]

    aigc("interpolate", "vae", "--from", 1, "--to", 4, "--steps", 4, "--upscale", 2, "--out", "way.gif")
    aigc("interpolate", "../models/vae", "--pictures", "../a.png", "../c.png", "--loop", "--out", "way.png")
    assert "0." in aigc("reconstruct", "vae", "../a.png", "../b.jpg", "--out", "out")
    aigc("translate", "cyclegan", "../a.png", "--class", CLASS, "--contrast", "auto", "--out", "out")
    aigc("generate", "vae", "--n", 2, "--denoise", 0.5, "--out", "out")
    pictures = ["way.gif", "way.png", *sorted((below / "out").iterdir())]
    assert len(pictures) == 2 + 3 + 2 + 3
    said = aigc("whence", *pictures, "--source", "../a.png", "../b.jpg", "../c.png")
    assert said.count(": identical  ") == len(pictures)
    for words, message in (
        (["interpolate", "vae", "--steps", 1, "--out", "x.png"], "error: --steps must be between 2"),
        (["interpolate", "vae", "--pictures", "a", "b", "--to", 1, "--out", "x.png"],
         "error: --pictures and --from or --to: name two pictures or two seeds, not both"),
        (["reconstruct", "models:/aigc@none", "../a.png", "--out", "x"], "error: models:/aigc@none: "),
        (["translate", "0" * 32, "../a.png", "--out", "x"], f"error: {'0' * 32}: "),
    ):
        assert aigc(*words, check=False).startswith(message)
    assert not list(below.glob("x*"))
