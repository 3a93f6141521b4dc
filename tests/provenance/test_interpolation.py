"""The way between two samples or pictures: its ends are what is made alone; `aigc whence` makes it again."""

import io
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aigc import methods
from aigc.core.errors import AigcError, StorageError
from aigc.core.randomness import Purpose, generator
from aigc.core.runtime import RuntimeConfig
from aigc.model import between, sampling
from aigc.model.card import WEIGHTS
from aigc.networks.blocks import as_bytes
from aigc.provenance import drawing, examination, interpolation, label_check, layout, own_pictures, texts
from small import project_with, random_pictures, small_model, verdicts, write_pictures

SWITCHES = RuntimeConfig(arithmetic="portable", threads=1)
INTERPOLATING = [name for name in methods.available() if methods.method_class(name).interpolates]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return project_with(tmp_path, "vae", "cgan")


def way(model: str = "vae", out: str = "way.png", seeds: tuple[int, int] = (3, 8), count: int = 5,
        pictures: list[Path] | None = None, wanted: str | None = None, loop: bool = False,
        processed: str = "") -> Path:
    interpolation.write(model, seeds, pictures or [], count, wanted, Path(out), loop, SWITCHES, processed)
    return Path(out)


def cells(row: Path, count: int, side: int = 16) -> list[np.ndarray]:
    """The pictures of a row, one pixel of each square of 2 x 2."""
    pixels = np.asarray(Image.open(row))[::2, ::2]
    return [pixels[2:2 + side, 2 + index * (side + 2):][:, :side] for index in range(count)]


def frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        found = []
        for index in range(image.n_frames):
            image.seek(index)
            found.append(np.asarray(image.convert("RGB")))
        return found


@pytest.mark.parametrize("method", INTERPOLATING)
def test_the_ends_are_the_samples_of_the_two_seeds_byte_for_byte(home: Path, method: str) -> None:
    small_model(home / "models", method)
    built, _ = methods.load(home / "models" / method)
    label = 4 if built.conditional else sampling.UNLABELLED
    made = between.between_samples(built, 3, 8, 4, label)
    assert made.shape == (4, 1, 16, 16) and made.dtype == torch.uint8
    for seed, end in ((3, made[0]), (8, made[-1])):
        assert torch.equal(end, sampling.one_block(built, seed, 0, torch.tensor([label]))[0])
    start, end = (built.latents(sampling.BLOCK, generator(seed, Purpose.SAMPLE))[:1] for seed in (3, 8))
    for share, sample in ((0.0, made[0]), (1.0, made[-1])):
        on_the_way = as_bytes(built.decode_between(start, end, torch.tensor([share]), torch.tensor([label])))
        assert (on_the_way[0].int() - sample.int()).abs().max() <= 1, "the method's own way begins elsewhere"


def test_a_row_shows_the_files_that_generate_makes_at_its_ends(capsys: pytest.CaptureFixture[str]) -> None:
    row = way("cgan", wanted="kind 7")
    for seed, cell in ((3, cells(row, 5)[0]), (8, cells(row, 5)[-1])):
        drawing.write_pictures("cgan", None, 1, seed, Path("out"), "kind 7", SWITCHES)
        assert np.array_equal(cell, np.asarray(Image.open(f"out/cgan-seed{seed}-000000-class7.png")))
    assert verdicts([row], [], capsys) == [examination.IDENTICAL]


@pytest.mark.parametrize("ending", ["gif", "apng"])
def test_an_animation_of_grey_shows_the_pictures_of_the_row_and_repeats(
    ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, path = cells(way(), 5), way(out=f"way.{ending}")
    found = [frame[::8, ::8, 0] for frame in frames(path)]
    assert len(found) == 5 and all(map(np.array_equal, found, expected))
    with Image.open(path) as image:
        assert image.size == (128, 128) and image.info["loop"] == 0
    assert label_check.labels_of(path)["implicit"].state == label_check.PRESENT
    assert verdicts([path], [], capsys) == [examination.IDENTICAL]


@pytest.mark.skipif(not shutil.which("exiftool"),
                    reason="exiftool is not installed (Debian: libimage-exiftool-perl)")
@pytest.mark.parametrize("ending", ["gif", "apng"])
def test_exiftool_reads_the_label_of_an_animation(ending: str) -> None:
    done = subprocess.run(["exiftool", "-j", "-n", "-XMP:all", way(out=f"way.{ending}")], capture_output=True,
                          check=True)
    found = {name.lower(): value for name, value in json.loads(done.stdout)[0].items()}
    assert '"Label":"1"' in json.dumps(found["aigc"]).replace("\\", "").replace(" ", "")


def test_colours_are_kept_by_an_animated_png_and_few_lost_by_a_gif(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_model(home / "models", "vae", channels=3)
    paths = [way(out="way.apng"), way(out="way.gif")]
    kept, near = map(np.stack, map(frames, paths))
    row = np.asarray(Image.open(way()))[::2, ::2]
    assert np.array_equal(kept[0][::8, ::8], row[2:18, 2:18])
    assert np.abs(kept.astype(int) - near).mean() < 8  # of 255, in 256 colours a frame
    assert verdicts(paths, [], capsys) == [examination.IDENTICAL] * 2


def test_a_loop_goes_there_and_back_without_showing_an_end_twice(capsys: pytest.CaptureFixture[str]) -> None:
    path = way(out="way.gif", loop=True)
    found, once = frames(path), frames(way(out="once.gif"))
    assert [*map(bytes, found)] == [*map(bytes, [*once, *once[-2:0:-1]])]
    assert verdicts([path], [], capsys) == [examination.IDENTICAL]


def test_a_way_between_pictures_begins_and_ends_at_their_reconstructions(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_pictures(home / "own", random_pictures(2, channels=3))
    pictures = sorted(folder.iterdir())
    row = way(pictures=pictures)
    own_pictures.reconstruct("vae", pictures, Path("out"), SWITCHES)
    for index, cell in ((0, cells(row, 5)[0]), (1, cells(row, 5)[-1])):
        assert np.array_equal(cell, np.asarray(Image.open(f"out/vae-reconstruction-00000{index}.png")))
    assert verdicts([row], pictures, capsys) == [examination.IDENTICAL]
    assert verdicts([row], pictures[:1], capsys) == [examination.NO_SOURCE]


def test_a_way_of_more_pictures_than_a_block_and_one_of_its_ends_alone_are_made_again(
    capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [way(out="long.png", count=256), way(out="short.gif", count=2, processed="contrast=2 upscale=2")]
    assert Image.open(paths[0]).size == (2 * (16 * 18 + 2), 2 * (16 * 18 + 2))
    assert verdicts(paths, [], capsys) == [examination.IDENTICAL] * 2


@pytest.mark.parametrize("ending", ["gif", "apng"])
def test_a_changed_animation_is_told_by_its_texts_or_by_making_it_again(
    ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = way(out=f"way.{ending}")
    content, claim = path.read_bytes(), texts.examine(path).claim
    others = interpolation.between.between_samples(methods.load(Path("models/vae"))[0], 3, 9, 5, -1).numpy()
    changed = {"other frames": layout.content(claim, others), "more bytes": content + b"hidden",
               "other text": layout.content(replace(claim, seed="4"), others),
               "text under the old seal": content.replace(b"CC0-1.0", b"CC1-1.0"),
               "no texts": without_texts(path)}
    for name, bytes_of in changed.items():
        Path(f"{name}.{ending}").write_bytes(bytes_of)
    found = verdicts([Path(f"{name}.{ending}") for name in changed], [], capsys)
    damaged = examination.FORGED if ending == "gif" else examination.NONE  # a chunk of PNG has a checksum
    assert found == [examination.DIFFERS] * 3 + [damaged, examination.STRIPPED]


def without_texts(path: Path) -> bytes:
    stream = io.BytesIO()
    with Image.open(path) as image:
        image.save(stream, "GIF" if path.suffix == ".gif" else "PNG", save_all=True, comment=b"[1]")
    return stream.getvalue()


def test_a_still_picture_that_calls_itself_an_animation_is_not_believed(
    capsys: pytest.CaptureFixture[str]
) -> None:
    row = way()
    claim = replace(texts.examine(row).claim, shows="interpolation to=8 as=apng")
    row.write_bytes(texts.encode(Image.open(io.BytesIO(row.read_bytes())), claim) + b"hidden")
    assert verdicts([row], [], capsys) == [examination.DIFFERS]


def test_a_file_of_others_is_never_written_over_and_ones_own_is() -> None:
    for out in ("way.png", "way.gif", "way.apng"):
        before = way(out=out).read_bytes()
        assert way(out=out).read_bytes() == before
        for content in (b"a diary", way(out=f"other-{out}", seeds=(1, 2)).read_bytes()):
            Path(out).write_bytes(content)
            with pytest.raises(StorageError, match=rf"{out}: exists and is another picture"):
                way(out=out)
            assert Path(out).read_bytes() == content


@pytest.mark.parametrize(("asked", "message"), [
    ({"count": 1}, "--steps must be between 2, which is the two ends alone, and 256, found 1"),
    ({"count": 10**9}, "--steps must be between 2.*found 1000000000"),
    ({"seeds": (-1, 0)}, "--from must be between 0 and 4294967295, found -1"),
    ({"seeds": (0, 2**32)}, "--to must be between 0 and 4294967295, found 4294967296"),
    ({"out": "way.jpg"}, r"--out way.jpg must end in .png \(a row\), .gif or .apng"),
    ({"model": "vea"}, "unknown model `vea`: no folder, run id or method; did you mean `vae`"),
    ({"model": "no/where"}, "no/where: missing; a model is its folder"),
    ({"model": "dcgan"}, "models/dcgan: no model yet; `dvc repro train@dcgan` makes it"),
    ({"wanted": "3"}, "vae cannot be asked for a class"),
    ({"model": "cgan", "wanted": "kind 77"}, "--class: no class `kind 77`; did you mean `kind 7`"),
    ({"model": "cgan", "pictures": [Path("a"), Path("b")]},
     "cgan does not interpolate between given pictures; autoencoder, vae do"),
    ({"pictures": [Path("a.png"), Path("b.png")]}, r"a.png: cannot be read \(No such file"),
    ({"pictures": [Path("params.yaml"), Path("b.png")]}, "params.yaml: no PNG, JPEG"),
    ({"out": "params.yaml/way.png"}, "params.yaml/way.png: cannot be written"),
])
def test_what_cannot_be_made_is_one_line_and_nothing_is_written(
    home: Path, asked: dict, message: str
) -> None:
    before = sorted(home.rglob("*"))
    with pytest.raises(AigcError, match=message) as told:
        way(**asked)
    assert "\n" not in str(told.value) and sorted(home.rglob("*")) == before


def test_a_method_that_does_not_interpolate_names_those_that_do(home: Path) -> None:
    small_model(home / "models", "cyclegan", classes=2)
    with pytest.raises(AigcError) as told:
        way("cyclegan")
    assert str(told.value) == f"cyclegan does not interpolate; {', '.join(INTERPOLATING)} do"


def test_a_changed_model_is_refused_and_one_is_named_by_its_folder() -> None:
    assert way("models/vae").read_bytes() == way("vae").read_bytes()
    weights = Path("models/vae") / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(StorageError, match=r"models/vae/model\.safetensors: sha256 is"):
        way(out="other.png")
    assert not os.path.exists("other.png")  # noqa: PTH110
