"""The formats of `aigc generate`, and what `aigc whence` says of each."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc import methods
from aigc.core.errors import ConfigError, GateError, StorageError
from aigc.core.runtime import RuntimeConfig
from aigc.model import sampling
from aigc.provenance import drawing, examination, marks, texts, xmp
from aigc.provenance.output import Output
from small import small_model

SWITCHES = RuntimeConfig(arithmetic="portable", threads=1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    small_model(tmp_path / "models", "cgan")
    small_model(tmp_path / "large", "gan", size=64)
    return tmp_path


def make(count: int, output: Output, name: str | None = None, out: str = "out") -> list[Path]:
    drawing.write_pictures(None if name else "cgan", name, count, 0, Path(out), None, SWITCHES, output=output)
    return sorted(Path(out).iterdir())


def asked(images: list[Path], capsys: pytest.CaptureFixture[str], name: str | None = None) -> list[dict]:
    capsys.readouterr()
    findings = examination.read(images)
    try:
        code = examination.run(findings, name, examination.switches_of(findings), as_json=True)
    except GateError:
        code = 1
    verdicts = json.loads(capsys.readouterr().out)
    good = all(entry["verdict"] == examination.IDENTICAL and entry["signature_holds"] for entry in verdicts)
    assert code == (0 if good else 1)
    return verdicts


@pytest.mark.parametrize(("kind", "suffix"), [("jpeg", "jpg"), ("webp", "webp")])
def test_compressed_pictures_and_their_sheet_are_identical(
        kind: str, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    images = make(2, Output(kind, 80))
    assert [path.name for path in images] == [f"cgan-seed0-{end}.{suffix}" for end in
                                              ("000000-class0", "000001-class1", "sheet")]
    found = texts.examine(images[0])
    assert found and found.claim and found.claim.compression == f"{kind} quality=80"
    assert [entry["verdict"] for entry in asked(images, capsys)] == [examination.IDENTICAL] * 3
    before = [path.read_bytes() for path in images]
    assert [path.read_bytes() for path in make(2, Output(kind, 80))] == before
    with pytest.raises(StorageError, match="exists and is another picture"):
        make(2, Output(kind, 81))


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_compressed_picture_that_was_changed_is_told_and_by_how_much(
        kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    image = make(1, Output(kind))[0]
    with Image.open(image) as held:
        packet, pixels = held.info["xmp"], np.asarray(held).copy()
    pixels[3, 4] ^= 128
    Image.fromarray(pixels).save(image, kind, quality=95, xmp=packet)
    (found,) = asked([image], capsys)
    assert found["verdict"] == examination.DIFFERS
    assert "compressed again by lib" in found["detail"] and "differ by up to" in found["detail"]
    Image.fromarray(pixels[:8]).save(image, kind, quality=95, xmp=packet)
    assert asked([image], capsys)[0]["verdict"] == examination.FORGED
    with Image.open(image) as held:
        held.save(image, kind, quality=95, xmp=packet.replace(b"<aigc:seed>0", b"<aigc:seed>1"))
    assert "the texts are not those under the seal" in asked([image], capsys)[0]["detail"]
    Image.fromarray(pixels).save("out/again.png")
    assert asked([Path("out/again.png")], capsys)[0]["verdict"] == examination.STRIPPED


def test_a_stripped_picture_whose_label_is_left_names_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    image = make(1, Output())[0]
    with Image.open(image) as held:
        held.load()
        held.save("copy.jpg", xmp=held.info["xmp"])
    (found,) = asked([Path("copy.jpg")], capsys)
    card = methods.load(Path("models/cgan"))[1]
    assert found["verdict"] == examination.STRIPPED
    assert f"names the picture {card.sha256}.0.0." in found["detail"]


def test_an_array_holds_the_pictures_and_its_texts_stand_beside_it() -> None:
    beside, array = make(sampling.BLOCK + 1, Output("npy"))
    pictures, said = np.load(array), json.loads(beside.read_text())
    generator, card = methods.load(Path("models/cgan"))
    blocks = sampling.blocks(generator, 0, sampling.BLOCK + 1)
    assert np.array_equal(pictures, np.concatenate([block.numpy() for block in blocks]))
    assert said["picture"]["model_sha256"] == card.sha256 and said["picture"]["label"][:2] == [0, 1]
    assert said["pixels_sha256"] == texts.hash_of(pictures.tobytes()) and said["array"] == array.name
    assert list(said["AIGC"]) == sorted(xmp.LABEL_FIELDS)
    assert said["AIGC"]["ReservedCode1"] == said[texts.SEAL]
    make(sampling.BLOCK + 1, Output("npy"))
    with pytest.raises(StorageError, match=r"out/cgan-seed0\.npy: exists and holds other pictures"):
        make(2, Output("npy"))
    assert np.array_equal(np.load(array), pictures)


def test_a_grid_is_the_contact_sheet_alone(capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = make(1, Output("grid"), out="one")
    (sheet,) = make(5, Output("grid"))
    assert sheet.name == "cgan-seed0-sheet.png"
    assert sheet.read_bytes() == next(path for path in make(5, Output(), out="usual") if "sheet" in path.name
                                      ).read_bytes()
    assert [entry["verdict"] for entry in asked([one, sheet], capsys)] == [examination.IDENTICAL] * 2


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_marked_pictures_are_identical_and_the_mark_is_seen(
        kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    images = make(2, Output(kind, mark="zh"), "large/gan")
    for path in images:
        with Image.open(path) as image:
            assert marks.language_of(image) == "zh"
    assert {entry["verdict"] for entry in asked(images, capsys, "large/gan")} == {examination.IDENTICAL}
    found = texts.examine(images[0])
    assert found and found.claim and found.claim.mark == "zh"


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_pictures_that_are_upscaled_have_room_for_a_mark_and_are_identical(
        kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    images = make(2, Output(kind, mark="zh", processed="contrast=auto upscale=4"))
    for path in images:
        with Image.open(path) as image:
            assert marks.language_of(image) == "zh"
    assert {entry["verdict"] for entry in asked(images, capsys)} == {examination.IDENTICAL}


def test_a_mark_that_was_painted_over_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    plain, marked = make(1, Output(), "large/gan", "a")[0], make(1, Output(mark="zh"), "large/gan", "b")[0]
    with Image.open(plain) as image, Image.open(marked) as held:
        held.load()
        written = texts.PngImagePlugin.PngInfo()
        for key, value in held.text.items():
            written.add_itxt(key, value)
        image.save(marked, pnginfo=written)
    assert asked([marked], capsys, "large/gan")[0]["verdict"] == examination.FORGED


def test_small_pictures_are_refused_a_mark_and_their_sheet_bears_it(
        capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="too many for a picture of 16 x 16; use --format grid"):
        make(4, Output(mark="en"))
    assert not Path("out").exists()
    (sheet,) = make(4, Output("grid", mark="en"))
    with Image.open(sheet) as image:
        assert marks.language_of(image) == "en"
    assert asked([sheet], capsys)[0]["verdict"] == examination.IDENTICAL


@pytest.mark.parametrize(("output", "count", "message"), [
    (Output("png", 90), 1, "--quality is of jpeg and webp, not of png"),
    (Output("jpeg", 0), 1, "--quality must be between 1 and 100, found 0"),
    (Output("jpeg", 101), 1, "--quality must be between 1 and 100, found 101"),
    (Output("npy", mark="zh"), 1, "--mark and --sign are for pictures"),
    (Output("grid"), 257, "--format grid shows at most 256 pictures, found --n 257"),
])
def test_options_that_do_not_go_together_are_one_line_and_nothing_is_written(
        output: Output, count: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as told:
        make(count, output)
    assert "\n" not in str(told.value) and not Path("out").exists()


def test_a_producers_code_of_a_wrong_form_stops_generate_before_it_writes() -> None:
    Path("params.yaml").write_text("label: {producer: '0011'}\n")
    with pytest.raises(ConfigError, match=r"params.yaml: `label.producer`: a provider's code has 27"):
        make(1, Output())
    assert not Path("out").exists()
    Path("params.yaml").write_text("label: {producer: Studio}\n")
    with Image.open(io.BytesIO(make(1, Output())[0].read_bytes())) as image:
        assert xmp.parsed_label(xmp.label_text(texts.packet_of(image)))["ContentProducer"] == "Studio"
