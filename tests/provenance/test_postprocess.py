"""What is done to a picture afterwards obeys its laws, and is repeated by `aigc whence`."""

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from scipy import ndimage

from aigc import cli
from aigc.core.errors import ConfigError
from aigc.core.runtime import RuntimeConfig
from aigc.provenance import drawing, examination, postprocess, texts
from aigc.provenance.output import Output
from small import project_with, verdicts

SWITCHES = RuntimeConfig(arithmetic="portable", threads=1)
PICTURES = st.sampled_from([(9, 12), (9, 12, 3)]).flatmap(lambda shape: arrays.arrays(np.uint8, shape))
TEXTS = st.builds(
    postprocess.text_of,
    st.none() | st.floats(1e-3, 1),
    st.none() | st.just("auto") | st.floats(1e-3, 10).map(str),
    st.sampled_from([None, 2, 4]))


def after(pixels: np.ndarray, text: str) -> np.ndarray:
    return np.asarray(postprocess.applied(Image.fromarray(pixels), text))


@given(PICTURES, TEXTS)
def test_the_steps_give_the_same_bytes_twice_and_the_size_that_they_say(
    pixels: np.ndarray, text: str
) -> None:
    assert re.fullmatch(postprocess.FORM, text)
    height, width, *channels = pixels.shape
    factor = postprocess.enlargement(text)
    made = after(pixels, text)
    assert made.shape == (height * factor, width * factor, *channels)
    assert np.array_equal(made, after(pixels, text))


@given(PICTURES, TEXTS)
def test_the_steps_are_done_one_after_the_other_in_the_stated_order(pixels: np.ndarray, text: str) -> None:
    one_by_one = pixels
    for step in text.split():
        one_by_one = after(one_by_one, step)
    assert np.array_equal(after(pixels, text), one_by_one)


@given(PICTURES)
def test_denoise_1_is_the_median_that_scipy_computes_and_contrast_1_changes_nothing(
    pixels: np.ndarray
) -> None:
    window = (3, 3, 1)[:pixels.ndim]
    assert np.array_equal(after(pixels, "denoise=1"), ndimage.median_filter(pixels, window, mode="nearest"))
    assert np.array_equal(after(pixels, "contrast=1"), pixels)


@given(arrays.arrays(np.uint8, (9, 12)))
def test_contrast_auto_uses_all_shades_and_keeps_their_order(pixels: np.ndarray) -> None:
    made = after(pixels, "contrast=auto")
    if pixels.min() < pixels.max():
        assert made.min() == 0 and made.max() >= 254  # Pillow rounds down
    order = np.argsort(pixels, axis=None, kind="stable")
    assert (np.diff(made.ravel()[order].astype(int)) >= 0).all()


@given(st.integers(0, 255), st.sampled_from(["2", "4"]))
def test_a_picture_of_one_shade_stays_so_when_it_is_upscaled(shade: int, factor: str) -> None:
    assert (after(np.full((8, 8), shade, np.uint8), f"upscale={factor}") == shade).all()


@pytest.mark.parametrize(("given_as", "message"), [
    ({"denoise": 0.0}, "--denoise must be above 0 and at most 1, found 0"),
    ({"denoise": 1.01}, "--denoise must be above 0 and at most 1, found 1.01"),
    ({"denoise": float("nan")}, "--denoise must be above 0 and at most 1, found nan"),
    ({"contrast": "-1"}, "--contrast must be above 0 and at most 10, found -1"),
    ({"contrast": "inf"}, "--contrast must be above 0 and at most 10, found inf"),
    ({"contrast": "much"}, "--contrast takes a number or `auto`, found `much`"),
    ({"upscale": 3}, "--upscale must be 2 or 4, found 3"),
    ({"upscale": 10**9}, "--upscale must be 2 or 4, found 1000000000"),
])
def test_values_that_cannot_be_are_one_line(given_as: dict, message: str) -> None:
    with pytest.raises(ConfigError) as told:
        postprocess.text_of(**given_as)
    assert str(told.value) == message


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return project_with(tmp_path, "gan", "cgan")


def make(method: str, count: int, processed: str) -> list[Path]:
    drawing.write_pictures(method, None, count, 0, Path("out"), None, SWITCHES,
                           output=Output(processed=processed))
    return sorted(Path("out").iterdir())


@pytest.mark.parametrize("text", ["upscale=4", "denoise=0.3 contrast=auto", "contrast=1.7 upscale=2"])
def test_pictures_and_their_sheet_say_what_was_done_and_are_made_again(
    home: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    images = make("gan", 3, text)
    for path in images:
        assert (found := texts.examine(path)) and found.claim and found.claim.processed == text
    assert verdicts(images, [], capsys) == [examination.IDENTICAL] * 4
    side = 16 * postprocess.enlargement(text)
    assert Image.open(images[0]).size == (side, side)


def test_a_picture_that_was_not_processed_has_no_text_of_it(home: Path) -> None:
    with Image.open(make("gan", 1, "")[0]) as image:
        image.load()
        assert not {"aigc.processed", "aigc.shows"} & set(image.text)


def test_forged_steps_are_seen_under_a_seal_made_anew(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make("gan", 1, "contrast=2")[0]
    claim, expected = texts.examine(path).claim, {}
    for processed, verdict in (("contrast=2", examination.IDENTICAL), ("contrast=4", examination.DIFFERS),
                               ("", examination.DIFFERS), ("contrast=2 upscale=2", examination.FORGED)):
        other = Path(f"{len(expected)}.png")
        other.write_bytes(texts.encode(Image.open(io.BytesIO(path.read_bytes())),
                                       replace(claim, processed=processed)))
        expected[other] = verdict
    assert verdicts(list(expected), [], capsys) == list(expected.values())


def test_the_command_line_refuses_a_wrong_value_before_it_loads_anything(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["generate", "gan", "--out", "out", "--upscale", "3"]) == 1
    assert capsys.readouterr().err == "error: --upscale must be 2 or 4, found 3\n"
    assert not Path("out").exists()
