"""What `aigc generate` writes, and what `aigc whence` says of it."""

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from aigc import methods
from aigc.core.errors import AigcError, ConfigError, DataError, GateError, StorageError
from aigc.core.runtime import RuntimeConfig
from aigc.model import sampling
from aigc.model.card import WEIGHTS
from aigc.provenance import drawing, examination, texts
from projects import ROOT, run_in
from small import small_model

SWITCHES = RuntimeConfig(arithmetic="portable", threads=1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for method in ("gan", "cgan", "flow", "stylegan"):
        small_model(folder, method)
    return folder


@pytest.fixture(autouse=True)
def home(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two models, and no store of MLflow's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(models, tmp_path / "models")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(method: str | None, count: int | None, out: str = "out", seed: int = 0, wanted: str | None = None,
         name: str | None = None, **settings: str) -> list[Path]:
    drawing.write_pictures(method, name, count, seed, Path(out), wanted, SWITCHES, settings)
    return sorted(Path(out).glob("*.png"))


def asked(
    images: list[Path], capsys: pytest.CaptureFixture[str], name: str | None = None
) -> list[tuple[str, str]]:
    """(verdict, detail) of each picture."""
    capsys.readouterr()
    findings = examination.read(images)
    try:
        code = examination.run(findings, name, examination.switches_of(findings), as_json=True)
    except GateError:
        code = 1
    verdicts = [(entry["verdict"], entry["detail"]) for entry in json.loads(capsys.readouterr().out)]
    assert code == (0 if {verdict for verdict, _ in verdicts} == {examination.IDENTICAL} else 1)
    return verdicts


def claim(path: Path) -> texts.Claim:
    found = texts.examine(path)
    assert found and found.claim
    return found.claim


def test_pictures_and_their_contact_sheet_are_identical(capsys: pytest.CaptureFixture[str]) -> None:
    images = [*make("gan", 3, seed=5), *make("cgan", 12), *make("cgan", 3, wanted="kind 7")]
    assert [path.name for path in images[:4]] == [
        f"gan-seed5-{end}.png" for end in ("000000", "000001", "000002", "sheet")
    ]
    images = sorted(set(images) | set(Path("out").iterdir()))
    assert len(images) == 4 + 13 + 4
    assert {verdict for verdict, _ in asked(images, capsys)} == {examination.IDENTICAL}


def test_the_pictures_are_those_of_the_pipeline_beyond_one_block_too() -> None:
    images = make("gan", sampling.BLOCK + 2)
    generator, _ = methods.load(Path("models/gan"))
    expected = np.concatenate([block.numpy() for block in sampling.blocks(generator, 0, sampling.BLOCK + 2)])
    for index in (0, sampling.BLOCK - 1, sampling.BLOCK + 1):
        assert np.array_equal(np.asarray(Image.open(images[index])), expected[index, 0])


def test_a_picture_is_the_same_bytes_however_many_are_asked_for() -> None:
    assert make("cgan", 1)[0].read_bytes() == make("cgan", 5, "more")[0].read_bytes()


def test_colour_and_a_named_model_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = small_model(tmp_path / "elsewhere", "gan", channels=3)
    images = make(None, 2, name=str(folder))
    assert Image.open(images[0]).mode == "RGB"
    assert asked(images, capsys, str(folder / WEIGHTS)) == [(examination.IDENTICAL, "")] * 3
    assert {verdict for verdict, _ in asked(images, capsys)} == {examination.NO_MODEL}


def test_a_class_is_asked_for_by_name_or_index() -> None:
    assert (
        make("cgan", 1, wanted="kind 3")[0].read_bytes()
        == make("cgan", 1, "other", wanted="3")[0].read_bytes()
    )
    assert claim(Path("out/cgan-seed0-000000-class3.png")).label == "3"


@pytest.mark.parametrize(("asked_for", "message"), [
    (("dcgam", 1), "unknown method `dcgam`; did you mean `dcgan`"),
    (("dcgan", 1), r"models/dcgan: no model yet; `dvc repro train@dcgan` makes it"),
    (("gan", 0), "--n must be between 1 and 10000000, found 0"),
    (("gan", 1, "out", 2**32), "--seed must be between 0 and"),
    (("gan", 1, "out", 0, "7"), "gan cannot be asked for a class"),
    (("cgan", 1, "out", 0, "kind 77"), "--class: no class `kind 77`; did you mean `kind 7`"),
    (("cgan", 1, "out", 0, "10"), "--class: no class `10`"),
    (("gan", 1, "out", 0, None, "models/cgan"), "models/cgan: is a model of cgan, not of gan"),
    (("gan", 1, "out", 0, None, "nowhere"), "nowhere: missing; a model is"),
    ((None, 1), "name a method"),
])
def test_what_cannot_be_made_is_told_in_one_line_and_nothing_is_written(
    asked_for: tuple, message: str
) -> None:
    with pytest.raises(AigcError, match=message) as told:
        make(*asked_for)
    assert "\n" not in str(told.value)
    assert not Path("out").exists()


def test_a_changed_model_is_refused_and_named() -> None:
    weights = Path("models/gan") / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(StorageError, match=r"models/gan/model\.safetensors: sha256 is"):
        make("gan", 1)


def test_files_of_others_are_never_written_over_and_ones_own_are() -> None:
    images = make("gan", 3)
    before = [path.read_bytes() for path in images]
    images[0].write_bytes(before[0][:-5])
    images[0].write_bytes(before[0])
    assert [path.read_bytes() for path in make("gan", 3)] == before
    stretched = rewritten(images[0], pixels=np.zeros((40, 30), np.uint8)).read_bytes()
    images[0].write_bytes(before[0])
    for content in (b"a diary", before[1], stretched):
        images[2].write_bytes(content)
        with pytest.raises(StorageError, match=r"out/gan-seed0-000002\.png: exists and is another picture"):
            make("gan", 4)
        assert images[2].read_bytes() == content and not Path("out/gan-seed0-000003.png").exists()


def rewritten(path: Path, pixels: np.ndarray | None = None, keep_hashes: bool = True, **changes: str) -> Path:
    """The picture with other pixels or other words, its hashes left as they were or made anew."""
    with Image.open(path) as image:
        image.load()
        written, own = dict(image.text), np.asarray(image)
    shown = own if pixels is None else pixels
    if keep_hashes:
        written |= {f"{texts.PREFIX}{name}": value for name, value in changes.items()}
    else:
        written = texts.texts_of(replace(claim(path), **changes), texts.hash_of(shown.tobytes()))
    info = PngImagePlugin.PngInfo()
    for key, value in written.items():
        info.add_itxt(key, value)
    Image.fromarray(shown).save(path, pnginfo=info)
    return path


def test_every_kind_of_forgery_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    images = make("cgan", 9)
    other = np.asarray(Image.open(images[7])) ^ 1
    forged = [
        rewritten(images[0], seed="1"),
        rewritten(images[1], pixels=other),
        rewritten(images[2], pixels=other, label="9"),
        rewritten(images[3], keep_hashes=False, data_sha256="0" * 64),
        rewritten(images[4], keep_hashes=False, label="10"),
        rewritten(images[8], keep_hashes=False, licence="MIT"),
        rewritten(images[5], keep_hashes=False, seed="1"),
        rewritten(images[6], keep_hashes=False, pixels=other),
    ]
    verdicts = asked([*forged, images[7]], capsys)
    assert [verdict for verdict, _ in verdicts] == [examination.FORGED] * 6 + [examination.DIFFERS] * 2 + [
        examination.IDENTICAL
    ]
    starts = [
        "text changed: the texts are not",
        "pixels changed: the pixels are not",
        "text and pixels changed",
        "text changed: the aigc.data_sha256",
        "text changed: the aigc.label",
        "text changed: the aigc.licence",
    ]
    for (_, detail), start in zip(verdicts, starts, strict=False):
        assert detail.startswith(start)


def test_the_same_bytes_in_another_shape_or_mode_are_another_picture(
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = make("gan", 2)
    rewritten(images[0], pixels=np.asarray(Image.open(images[0])).reshape(8, 32))
    (verdict, detail), = asked(images[:1], capsys)
    assert (
        verdict == examination.FORGED
        and detail == "pixels changed: they are 32 x 8 L, its model makes 16 x 16 L"
    )
    rewritten(images[1], pixels=np.asarray(Image.open(images[1])).astype(np.uint16))
    assert asked(images[1:2], capsys)[0][0] == examination.FORGED


def test_a_stripped_picture_and_one_of_an_unknown_model_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    images = make("gan", 2)
    with Image.open(images[0]) as image:
        pixels = np.asarray(image)
    Image.fromarray(pixels).save(images[0])
    shutil.rmtree("models/gan")
    assert [verdict for verdict, _ in asked(images[:2], capsys)] == [
        examination.STRIPPED,
        examination.NO_MODEL,
    ]
    assert not Path("mlflow.db").exists(), "asking makes no store"


def test_a_retrained_model_does_not_pass_for_the_one_that_made_the_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = make("gan", 1)
    small_model(tmp_path / "models", "gan", seed=1)
    assert asked(images, capsys)[0][0] == examination.NO_MODEL


def test_what_is_no_picture_is_named() -> None:
    Path("notes.png").write_text("no picture")
    with pytest.raises(StorageError, match=r"notes\.png: not a whole picture"):
        examination.read([Path("notes.png")])
    os.mkfifo("pipe.png")
    for path in (Path("pipe.png"), Path()):
        with pytest.raises(StorageError, match="not a file that holds a picture"):
            examination.read([path])


def test_what_is_no_picture_among_others_has_its_verdict_and_so_have_they(
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = make("gan", 2)
    Path("notes.png").write_text("no picture")
    found = asked([Path("notes.png"), images[0], Path("absent.png")], capsys)
    assert [verdict for verdict, _ in found] == [examination.NONE, examination.IDENTICAL, examination.NONE]
    assert found[0][1].startswith("not a whole picture") and found[2][1].startswith(
        "cannot be read (No such file"
    )


def test_pictures_of_two_arithmetics_are_asked_for_apart() -> None:
    images = make("gan", 2)
    rewritten(images[0], keep_hashes=False, threads="2")
    with pytest.raises(
        ConfigError, match="portable arithmetic with 1 threads and in portable arithmetic with 2 threads"
    ):
        examination.switches_of(examination.read(images))


def test_the_commands_make_the_same_bytes_whatever_the_environment_says(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = make("gan", 2, seed=3)
    hostile = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "MKL_CBWR": "AVX512",
               "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "5"}
    run_in(
        home, "python", "-m", "aigc", "generate", "gan", "--n", 2, "--seed", 3, "--out", "again", **hostile
    )
    assert [path.read_bytes() for path in sorted(Path("again").iterdir())] == [
        path.read_bytes() for path in images
    ]
    done = run_in(home, "python", "-m", "aigc", "whence", *images, **hostile)
    assert done.stdout.count(": identical  gan seed 3 index") == 3
    images[0].write_bytes(images[0].read_bytes()[:-80])
    done = run_in(home, "python", "-m", "aigc", "whence", images[0], check=False, **hostile)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("method", "settings", "sampler"), [
    ("flow", {"steps": "2", "guidance": "3.0", "solver": "euler"}, "guidance=3.0 solver=euler steps=2"),
    ("transformer", {"top_k": "3", "temperature": "0.5"}, "temperature=0.5 top_k=3"),
])
def test_settings_of_sampling_are_in_the_picture_and_make_it_again(
    method: str, settings: dict[str, str], sampler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small_model(Path("models"), method)
    own = make(method, 1, "own")
    chosen = make(method, 2, "chosen", **settings)
    assert claim(chosen[0]).sampler == sampler
    assert np.asarray(Image.open(own[0])).tobytes() != np.asarray(Image.open(chosen[0])).tobytes()
    assert [verdict for verdict, _ in asked([*own, *chosen], capsys)] == [examination.IDENTICAL] * 4


def test_truncated_and_mixed_styles_are_in_the_picture_and_make_it_again(
    capsys: pytest.CaptureFixture[str]
) -> None:
    own, chosen = make("stylegan", 1, "own"), make("stylegan", 2, "chosen", truncation="0.5", mixed="3")
    assert claim(chosen[0]).sampler == "mixed=3 truncation=0.5"
    assert np.asarray(Image.open(own[0])).tobytes() != np.asarray(Image.open(chosen[0])).tobytes()
    assert [verdict for verdict, _ in asked([*own, *chosen], capsys)] == [examination.IDENTICAL] * 4


def test_settings_that_are_the_models_own_leave_the_same_file() -> None:
    own = make("flow", 1, "own")
    settings = methods.load(Path("models/flow"))[1].config
    again = make("flow", 1, "again", steps=str(settings["steps"]), solver=settings["solver"])
    assert own[0].read_bytes() == again[0].read_bytes() and claim(own[0]).sampler == ""


@pytest.mark.parametrize(("method", "settings", "message"), [
    ("gan", {"steps": "3"}, "gan has no setting `steps` that can be chosen when sampling; it has none"),
    ("flow", {"width": "8"}, "no setting `width`.*it has steps, guidance, solver"),
    ("flow", {"steps": "0"}, "flow cannot be sampled like that: steps: Input should be greater than 0"),
    ("flow", {"steps": "1001"}, "steps: Input should be less than or equal to 1000"),
    ("flow", {"guidance": "nan"}, "guidance: Input should be"),
    ("stylegan", {"truncation": "-0.1"}, "truncation: Input should be greater than or equal to 0"),
    ("stylegan", {"mixed": "6"}, r"`stylegan.mixed` \(6\) is more than the 3 layers of"),
    ("flow", {"solver": "rk4"}, "solver: Input should be 'euler', 'midpoint' or 'heun'"),
    ("transformer", {"top_k": "0"}, "sampled like that: top_k: Input should be greater"),
])
def test_settings_that_cannot_be_are_one_line_and_nothing_is_written(
    method: str, settings: dict[str, str], message: str
) -> None:
    small_model(Path("models"), method)
    with pytest.raises(ConfigError, match=message) as caught:
        make(method, 1, **settings)
    assert "\n" not in str(caught.value) and not Path("out").exists()


def test_forged_settings_of_sampling_are_seen(capsys: pytest.CaptureFixture[str]) -> None:
    other, foreign, invalid = make("flow", 3, steps="2")[:3]
    rewritten(other, keep_hashes=False, sampler="steps=3")
    rewritten(foreign, keep_hashes=False, sampler="width=8")
    rewritten(invalid, keep_hashes=True, sampler="steps=3")
    verdicts = asked([other, foreign, invalid], capsys)
    forged = examination.FORGED
    assert [verdict for verdict, _ in verdicts] == [examination.DIFFERS, forged, forged]
    assert "aigc.sampler" in verdicts[1][1] and "under the seal" in verdicts[2][1]


@pytest.fixture
def sources(home: Path) -> list[Path]:
    """Files of pictures of several shapes."""
    rng, paths = np.random.default_rng(0), []
    for index, shape in enumerate(((16, 16), (20, 31, 3), (40, 16))):
        paths.append(home / f"source{index}.png")
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(paths[-1])
    return paths


def translate(sources: list[Path], wanted: str | None = "kind 1", count: int | None = None,
              method: str = "cyclegan") -> list[Path]:
    """Translations to the second of two classes, and their contact sheet."""
    drawing.write_pictures(method, None, count, 0, Path("out"), wanted, SWITCHES, {}, sources)
    return sorted(Path("out").glob("*.png"))


@pytest.fixture
def translator(home: Path) -> Path:
    return small_model(home / "models", "cyclegan", classes=2)


def verdicts_with(images: list[Path], sources: list[Path],
                  capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    findings = examination.read(images)
    capsys.readouterr()
    with contextlib.suppress(GateError):
        examination.run(findings, None, examination.switches_of(findings), as_json=True, sources=sources)
    return [(entry["verdict"], entry["detail"]) for entry in json.loads(capsys.readouterr().out)]


def test_a_translation_names_its_source_and_is_made_again_from_it(
    translator: Path, sources: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    made = translate(sources)
    assert len(made) == 4 and made[0].name == "cyclegan-seed0-000000-class1.png"
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
    assert [claim(path).translated_sha256 for path in made] == [*hashes, " ".join(hashes)]
    assert claim(made[0]).translated_fit == "crop 255 255 255"
    found = verdicts_with(made, sources, capsys)
    assert [verdict for verdict, _ in found] == [examination.IDENTICAL] * 4
    method = methods.load(translator)[0]
    for index, path in enumerate(sources):  # the pixels are those of the source, fitted as `preprocess` does
        grey = Image.open(path).convert("L")
        side = min(grey.size)
        left, top = ((length - side) // 2 for length in grey.size)
        square = grey.crop((left, top, left + side, top + side))
        pixels = np.asarray(square.resize((16, 16), Image.Resampling.BICUBIC))[None, None]
        expected = next(sampling.blocks(method, 0, 1, torch.tensor([1]), sources=pixels))
        assert np.array_equal(np.asarray(Image.open(made[index])), expected[0, 0].numpy())


def test_a_translation_without_its_source_says_which_file_is_missing(
    translator: Path, sources: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    made = translate(sources)
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
    for given, missing in (([], 0), (sources[:1], 1)):
        verdict, detail = verdicts_with(made, given, capsys)[-1]  # the sheet
        assert verdict == examination.NO_SOURCE
        assert detail == f"translation of a file with sha256 {hashes[missing]}; name that file with --source"


def test_a_translation_that_claims_another_source_or_none_is_told(
    translator: Path, sources: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    made = translate(sources[:1])[0]
    pixels, true = Image.open(made), claim(made)
    other = hashlib.sha256(sources[1].read_bytes()).hexdigest()
    forged = {"other.png": replace(true, translated_sha256=other),
              "none.png": replace(true, translated_sha256="", translated_fit=""),
              "fit.png": replace(true, translated_fit="stretch 0 0 300")}
    for name, stated in forged.items():
        Path(name).write_bytes(texts.encode(pixels, stated))
    found = dict(zip(forged, verdicts_with([Path(name) for name in forged], sources, capsys), strict=True))
    assert found["other.png"][0] == examination.DIFFERS
    assert found["none.png"] == (examination.FORGED, "text changed: the aigc.translated_sha256 of its model "
                                                     "is another, though its seal is whole")
    assert found["fit.png"][1] == "text changed: aigc.translated_fit is not valid"


@pytest.mark.parametrize(("method", "given", "wanted", "count", "says"), [
    ("cyclegan", 0, "kind 1", None, "cyclegan translates pictures: name their files with --source"),
    ("cyclegan", 1, None, None, r"name it with --class \(kind 0 or kind 1\)"),
    ("cyclegan", 1, "kind 2", None, "--class: no class `kind 2`; did you mean"),
    ("cyclegan", 1, "kind 1", 3, "cyclegan makes one picture of each --source; leave --n out"),
    ("gan", 1, None, None, "gan does not translate pictures; leave --source out"),
])
def test_sources_that_do_not_belong_to_the_method_are_one_line_and_nothing_is_written(
    translator: Path, sources: list[Path], method: str, given: int, wanted: str | None, count: int | None,
    says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        translate(sources[:given], wanted, count, method)
    assert "\n" not in str(caught.value) and not Path("out").exists()


def test_a_source_that_is_missing_or_no_picture_is_named(translator: Path, sources: list[Path]) -> None:
    sources[1].write_text("words")
    for paths, says in ((sources, "source1.png: no PNG"), ([Path("nowhere.png")], "nowhere.png: cannot")):
        with pytest.raises(DataError, match=says):
            translate(paths)
        assert not Path("out").exists()
