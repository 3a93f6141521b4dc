"""Figures in the colours of the page, and what they show in words."""

import re

import numpy as np
import pandas as pd
import pytest

from aigc.reporting import figures
from aigc.reporting.figures import Point

CLASSES = pd.DataFrame({"class": ["cat", "dog"], "count": [30, 10], "seen as cat": [18, 1],
                        "seen as dog": [2, 9]})


def test_a_figure_has_the_same_bytes_again_and_only_colours_of_the_theme() -> None:
    history = pd.DataFrame({"images": [100, 200], "loss/critic": [1.5, 0.5], "loss/generator": [np.nan, 2]})
    first, second = figures.losses(history), figures.losses(history)
    assert first == second and first.svg.startswith("<svg")
    assert re.findall(r"#[0-9a-f]{6}\b", first.svg) == [] and "var(--ink)" in first.svg
    assert "font-family" not in first.svg and "<style" not in first.svg
    assert first.alt == ("Loss over 200 images of training: critic from 1.5 to 0.5, generator from 2 to 2.")


def test_what_a_figure_shows_is_said_in_words() -> None:
    assert figures.class_shares(CLASSES).alt == ("Share of samples by predicted class: cat 75.0%, dog 25.0%. "
                                                 "An even share is 50.0%.")
    assert figures.confusion(CLASSES).alt == (
        "The requested class is predicted for 90.0% of the samples. The most frequent error: cat requested, "
        "dog predicted, 10.0% of the row.")
    rows = pd.DataFrame({"relative_distance": [0.25, 0.5], "flagged": [True, False]})
    pictures = np.zeros((2, 1, 8, 8), np.uint8)
    assert figures.pairs(pictures, pictures, rows).alt == (
        "2 samples, each above the training picture nearest to it. Relative distances: 0.25 to 0.50. "
        "Near-duplicates: 1.")
    fids = {"vae": {"fid": {"value": 3.0, "low": 2.5, "high": 3.5}}, "gan": {"fid": {"value": 2.0}}}
    assert figures.ranking(fids, {"blur": {"fid": {"value": 2.5}}}, 0.3).alt == (
        "FID of methods and of damaged real pictures, best first: gan 2, blur 2.5, vae 3. The floor is 0.3.")


@pytest.mark.parametrize("count", [1, 4])
def test_a_trade_off_names_what_nothing_else_beats_in_both(count: int) -> None:
    points = [Point("slow", 90, 1.0, "#2c6e9b"), Point("quick", 10, 5.0, "#d1495b"),
              Point("worse", 50, 6.0, "#3a7d44"), Point("equal", 10, 5.5, "#3a7d44")][:count]
    drawn = figures.trade_off(points, "seconds")
    assert drawn.svg.startswith("<svg")
    if count == 4:
        assert drawn.alt == ("FID over seconds. No other one is better in both than: quick, FID 5 at 10; "
                             "slow, FID 1 at 90.")
