"""The page of `aigc play` shows what `aigc generate` makes; what a method cannot do is refused."""

import contextlib
import hashlib
import io
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc import methods
from aigc.core.errors import AigcError, ConfigError, DataError, StorageError
from aigc.core.runtime import RuntimeConfig
from aigc.model.card import read_card
from aigc.playground import choices, model
from aigc.playground.model import Playground, Wish
from aigc.provenance import drawing, examination
from projects import ROOT
from small import small_model

SWITCHES = RuntimeConfig(arithmetic="portable", threads=1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for method in ("vae", "cgan", "flow", "stylegan", "transformer"):
        small_model(folder, method)
    small_model(folder, "cyclegan", classes=2)
    return folder


@pytest.fixture
def play(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Playground:
    """In a project with a model of six methods."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(models, tmp_path / "models")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    with contextlib.ExitStack() as stack:
        return Playground(model.trained(stack), SWITCHES)


def noise(seed: int = 0) -> bytes:
    """The file of a picture that no model saw."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("wish", [
    Wish("vae", seed=3, count=5), Wish("cgan", count=12), Wish("cgan", seed=1, count=3, class_name="kind 7"),
    Wish("flow", count=2, settings=(("steps", "2"), ("solver", "euler"), ("guidance", "2.5"))),
    Wish("stylegan", count=2, settings=(("truncation", "0.5"), ("mixed", "0")))], ids=str)
def test_each_picture_and_the_zip_are_the_bytes_of_aigc_generate(
    play: Playground, wish: Wish, tmp_path: Path
) -> None:
    drawing.write_pictures(wish.model, None, wish.count, wish.seed, tmp_path / "out", wish.class_name,
                           SWITCHES, dict(wish.settings))
    written = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for picture in play.pictures(wish):
        assert written[picture.file_name] == picture.png
    path = play.archive(wish, tmp_path)
    with zipfile.ZipFile(path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == written
    before = path.read_bytes()
    assert play.archive(wish, tmp_path).read_bytes() == before


def test_a_zip_is_identical_by_aigc_whence(
    play: Playground, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(play.archive(Wish("cgan", seed=9, count=3), tmp_path)) as archive:
        archive.extractall(tmp_path / "out")
    assert capsys.readouterr() == ("", "")
    found = examination.read(sorted((tmp_path / "out").iterdir()))
    assert examination.run(found, None, examination.switches_of(found), as_json=False) == 0


@pytest.mark.parametrize("name", ["vae", "cgan", "flow", "stylegan", "transformer"])
def test_a_walk_leads_from_picture_0_of_one_seed_to_picture_0_of_another(play: Playground, name: str) -> None:
    wish = Wish(name, seed=4, count=1, class_name=None if name == "vae" else "kind 0")
    start, _, end = play.walk(wish, 5, [0.0, 0.5, 1.0]).astype(int)
    for image, seed in ((start, 4), (end, 5)):
        made = np.asarray(play.pictures(replace(wish, seed=seed))[0].image, int)
        assert np.abs(image[0] - made).max() <= 2  # a batch of another size has other last bits


def test_a_way_of_one_seed_to_itself_is_one_picture(play: Playground) -> None:
    images = play.walk(Wish("cgan", seed=4), 4, [0.0, 0.3, 1.0]).astype(int)
    assert np.abs(images - images[:1]).max() <= 2


@pytest.mark.parametrize("name", ["vae", "transformer"])
def test_an_own_picture_is_reconstructed_at_the_size_of_the_model(play: Playground, name: str) -> None:
    seen, result = play.reconstructed(Wish(name), noise())
    assert seen.shape == result.shape == (1, 16, 16) and (seen != result).any()


def test_a_translation_is_the_file_that_aigc_generate_writes(play: Playground, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(noise())
    drawing.write_pictures("cyclegan", None, None, 0, tmp_path / "out", "kind 1", SWITCHES,
                           sources=[tmp_path / "mine.png"])
    seen, made = play.translated(Wish("cyclegan", class_name="kind 1"), noise())
    assert (tmp_path / "out" / made.file_name).read_bytes() == made.png
    assert made.claim.sources == [hashlib.sha256(noise()).hexdigest()] and seen.shape == (1, 16, 16)


@pytest.mark.parametrize(("ask", "error", "why"), [
    (lambda play: play.pictures(Wish("gam")), ConfigError, "no model `gam` here; known here: cgan, "),
    (lambda play: play.pictures(Wish("vae", seed=-1)), ConfigError, "a seed is between 0 and 4294967295"),
    (lambda play: play.pictures(Wish("vae", seed=2**32)), ConfigError, "a seed is between 0 and"),
    (lambda play: play.pictures(Wish("vae", count=0)), ConfigError, "between 1 and 128 pictures"),
    (lambda play: play.pictures(Wish("vae", count=10**9)), ConfigError, "between 1 and 128 pictures"),
    (lambda play: play.pictures(Wish("cgan", class_name="x")), ConfigError, "--class: no class `x`"),
    (lambda play: play.pictures(Wish("cyclegan")), ConfigError, "put in one of your own"),
    (lambda play: play.pictures(Wish("stylegan", settings=(("mixed", "99"),))), ConfigError, "mixed"),
    (lambda play: play.pictures(Wish("flow", settings=(("steps", "0"),))), ConfigError, "steps: Input"),
    (lambda play: play.pictures(Wish("vae", settings=(("steps", "2"),))), ConfigError, "no setting `steps`"),
    (lambda play: play.archive(Wish("cyclegan"), Path()), ConfigError, "a click on a translation saves it"),
    (lambda play: play.walk(Wish("cyclegan"), 1, [0.5]), ConfigError, "no way between two pictures"),
    (lambda play: play.walk(Wish("vae"), -3, [0.5]), ConfigError, "a seed is between 0 and"),
    (lambda play: play.reconstructed(Wish("cgan"), noise()), ConfigError, "cgan does not reconstruct"),
    (lambda play: play.reconstructed(Wish("vae"), b"text"), DataError, "your picture: "),
    (lambda play: play.translated(Wish("vae"), noise()), ConfigError, "vae does not translate"),
    (lambda play: play.translated(Wish("cyclegan"), noise()), ConfigError, "choose the class to translate"),
])
def test_what_cannot_be_asked_for_is_said_in_one_line(play: Playground, ask, error, why: str) -> None:
    with pytest.raises(error) as raised:
        ask(play)
    assert why in str(raised.value) and "\n" not in str(raised.value)


def test_what_is_not_trained_is_not_offered(
    play: Playground, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(play.offered) == {"vae", "cgan", "flow", "stylegan", "transformer", "cyclegan"}
    Path("models/vae/config.json").write_text("{}")
    Path("models/evaluator").mkdir()
    shutil.rmtree("models/flow")
    with contextlib.ExitStack() as stack:
        assert set(model.trained(stack)) == {"cgan", "stylegan", "transformer", "cyclegan"}
        warning, = capsys.readouterr().err.splitlines()
        assert warning.startswith("warning: models/vae/config.json: ") and warning.endswith("is not offered")
        assert model.trained(stack, ["models/cgan"])["models/cgan"].card.method == "cgan"
        with pytest.raises(StorageError, match="^models/flow: no model yet; `dvc repro train@flow` makes it"):
            model.trained(stack, ["flow"])
        with pytest.raises(AigcError, match="^cgam: missing; a model is its folder, a run id"):
            model.trained(stack, ["cgam"])
        shutil.rmtree("models")
        with pytest.raises(StorageError, match="^models/: no trained model; `dvc repro` makes them"):
            model.trained(stack)


def test_a_damaged_model_is_one_line_when_it_is_asked_for(play: Playground) -> None:
    weights = Path("models/vae/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(StorageError, match=r"^models/vae/model.safetensors: sha256 is \w+, its config.json"):
        play.pictures(Wish("vae"))
    assert play.pictures(Wish("cgan", count=1))


@pytest.mark.parametrize("name", ["flow", "stylegan", "transformer", "vae"])
def test_the_settings_are_those_of_the_method_within_its_own_bounds(models: Path, name: str) -> None:
    card = read_card(models / name)
    found = choices.settings_of(card)
    assert [setting.name for setting in found] == list(methods.method_class(name).sampling_settings)
    for setting in found:
        ends = setting.words or (setting.low, setting.high, setting.value)
        for value in ends:
            methods.sampler(card, {setting.name: setting.text(value)})
        assert setting.words or setting.low <= setting.value <= setting.high
