"""The visible mark: high enough, legible on any picture, and recognised."""

import io

import numpy as np
import pytest
from PIL import Image

from aigc.core.errors import ConfigError
from aigc.provenance import marks

SHADES = (0, 255, 128)


@pytest.mark.parametrize("language", marks.LANGUAGES)
@pytest.mark.parametrize("size", [(128, 128), (240, 300), (241, 241), (512, 700), (2048, 2048)])
@pytest.mark.parametrize("beside", [False, True])
def test_a_capital_letter_is_a_twentieth_of_the_shorter_side(
        language: str, size: tuple[int, int], beside: bool) -> None:
    pixels = np.asarray(marks.marked(Image.new("L", size, 128), language, beside))
    # The corner without its margin: the first character is A, whose rows of ink are its height.
    scale = next(scale for scale in range(1, 30)
                 if np.array_equal(pixels[-marks.box(language, scale).height:,
                                          -marks.box(language, scale).width:], marks.box(language, scale)))
    letter = np.asarray(marks.box(language, scale))[:, : (marks.MARGIN + 9) * scale]
    rows = np.flatnonzero((letter == marks.INK).any(axis=1))
    assert rows[-1] - rows[0] + 1 >= 0.05 * min(pixels.shape)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("shade", SHADES)
def test_ink_stands_on_its_own_paper_whatever_the_picture_and_the_rest_is_left_alone(
        mode: str, shade: int) -> None:
    before = Image.new(mode, (128, 128), (shade,) * 3 if mode == "RGB" else shade)
    after = marks.marked(before, "zh")
    box = marks.box("zh", 1)
    changed = np.asarray(after.convert("L"))
    assert after.mode == mode and after.size == before.size
    assert set(np.unique(changed[-box.height:, -box.width:])) == {0, 255}
    assert (changed[: -box.height] == shade).all() and (changed[:, : -box.width] == shade).all()


def test_on_a_contact_sheet_it_stands_below_and_hides_nothing() -> None:
    before = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 40), np.uint8))
    after = marks.marked(before, "en", beside=True)
    assert np.array_equal(np.asarray(after)[:64, :40], np.asarray(before))
    assert after.size == (marks.box("en", 1).width, 64 + marks.box("en", 1).height)


def test_a_picture_that_is_too_small_is_refused_in_one_line_with_the_remedy() -> None:
    for size in ((57, 64), (64, 43)):
        with pytest.raises(ConfigError, match="--mark zh: the mark has 58 x 22 .*use --format grid") as told:
            marks.marked(Image.new("L", size), "zh")
        assert "\n" not in str(told.value)
    marks.marked(Image.new("L", (58, 44)), "zh")


@pytest.mark.parametrize("language", marks.LANGUAGES)
@pytest.mark.parametrize("side", [107, 300, 512])
def test_it_is_recognised_even_after_compression_and_nothing_else_is(language: str, side: int) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8))
    for shade in SHADES:
        assert marks.language_of(Image.new("L", (side, side), shade)) == ""
    assert marks.language_of(noise) == ""
    stream = io.BytesIO()
    marks.marked(noise, language).save(stream, "JPEG", quality=60)
    with Image.open(stream) as image:
        assert marks.language_of(image) == language


def test_every_character_is_16_rows_of_one_width() -> None:
    assert set("".join(marks.LANGUAGES.values())) == set(marks.GLYPHS)
    for character, glyph in marks.GLYPHS.items():
        rows = glyph.split()
        assert len(rows) == 16 and len({len(row) for row in rows}) == 1, character
