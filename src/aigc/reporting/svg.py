"""A matplotlib figure as SVG within a page: its text is text, and its colours follow the page's theme."""

import hashlib
import io
import re
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure

# Colour in matplotlib -> variable of style.css, which has a value for light and one for dark.
INK, GRID, BAD, MARK = "#1d2730", "#d8dee4", "#b3261e", "#6b7680"
COLOURS = ["#2c6e9b", "#d1495b", "#3a7d44", "#edae49", "#7b4fa3", "#00798c", "#8d5524"]
THEME = {INK: "--ink", GRID: "--line", BAD: "--bad", MARK: "--soft",
         **{colour: f"--c{index}" for index, colour in enumerate(COLOURS)}}
STYLE: dict[str, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
                         "axes.edgecolor": INK, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK,
                         "ytick.color": INK, "axes.grid": True, "grid.color": GRID, "axes.axisbelow": True,
                         "axes.prop_cycle": cycler(color=COLOURS), "figure.constrained_layout.use": True,
                         "svg.fonttype": "none", "svg.hashsalt": "aigc"}
SETTINGS: Any = {**mpl.rcParamsDefault, **STYLE}  # without a user's own settings: equal on every machine
NAMES: Any = {**SETTINGS, "text.parse_math": False}  # the name of a class may contain dollar signs
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # date, version
LEFT_TO_THE_PAGE = re.compile(
    r' font-family: [^;"]*;?|<defs>\s*<style.*?</style>\s*</defs>|(?<=<g) id="[^"]*"', re.DOTALL)
ID = re.compile(r'(?<= id=")|(?<=url\(#)|(?<=href="#)')


@dataclass(frozen=True)
class Drawing:
    """svg: the element. alt: in words, what it shows."""

    svg: str
    alt: str


def drawing(figure: Figure, alt: str) -> Drawing:
    """The figure for a page. All ids in it begin with a hash of it: a page has several figures.

    It must be drawn under SETTINGS or NAMES. The same figure gives the same bytes.
    """
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata=NO_METADATA)
    text = stream.getvalue()
    text = LEFT_TO_THE_PAGE.sub("", text[text.index("<svg"):])
    for colour, variable in THEME.items():
        text = text.replace(colour, f"var({variable})")
    text = ID.sub(f"f{hashlib.sha256(text.encode()).hexdigest()[:8]}-", text)
    return Drawing(re.sub(r"\n\s*", "\n", text), alt)
