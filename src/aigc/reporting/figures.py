"""The pictures of the report, drawn the same on every machine: no user settings, no fonts but matplotlib's own."""

import io
from typing import Any

import matplotlib as mpl
import pandas as pd
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

INK, GRID = "#1d2730", "#d8dee4"
COLOURS = ["#2c6e9b", "#d1495b", "#3a7d44", "#edae49", "#7b4fa3", "#00798c", "#8d5524"]
STYLE: dict[str, Any] = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": INK, "text.color": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": GRID,
    "axes.axisbelow": True, "axes.prop_cycle": cycler(color=COLOURS), "figure.constrained_layout.use": True,
}

SETTINGS: Any = {**mpl.rcParamsDefault, **STYLE}


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=160, metadata={"Software": None})
    return stream.getvalue()


def losses(history: pd.DataFrame) -> bytes:
    """The loss of each player against images seen: a PNG."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(4.2, 2.6))
        axes = figure.subplots()
        for column in (name for name in history if name.startswith("loss/")):
            axes.plot(history["images"] / 1000, history[column], label=column.removeprefix("loss/"), linewidth=1.4)
        axes.set_xlabel("images seen, thousands")
        axes.set_ylabel("loss")
        axes.legend(frameon=False, fontsize=8)
        return _png(figure)


def class_shares(classes: pd.DataFrame) -> bytes:
    """What share of the samples the evaluator sees as each class, with the uniform share as a line: a PNG."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(4.2, 2.6))
        axes = figure.subplots()
        share = 100 * classes["count"] / classes["count"].sum()
        axes.bar(classes["class"].astype(str), share, width=0.7)
        axes.axhline(100 / len(classes), color=INK, linewidth=1, linestyle="--")
        axes.set_xlabel("class as seen by the evaluator (dashed: uniform)")
        axes.set_ylabel("% of samples")
        return _png(figure)


def ranking(metrics: dict[str, dict[str, Any]]) -> bytes:
    """FID of each method with its interval, best first, and the floor as a line: a PNG."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(5.2, 0.9 + 0.34 * len(metrics)))
        axes = figure.subplots()
        order = sorted(metrics, key=lambda name: -metrics[name]["fid"]["value"])
        for place, name in enumerate(order):
            fid = metrics[name]["fid"]
            low, high = fid.get("low", fid["value"]), fid.get("high", fid["value"])
            axes.plot([max(low, 1e-3), high], [place, place], color=COLOURS[0], linewidth=3, solid_capstyle="butt")
            axes.plot(fid["value"], place, "o", color=COLOURS[0])
        axes.axvline(metrics[order[0]]["fid"]["floor"], color=COLOURS[1], linewidth=1.2, linestyle="--")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_yticks(range(len(order)), order)
        axes.set_ylim(-0.6, len(order) - 0.4)
        axes.set_xlabel("FID, lower is better (dashed: floor)")
        return _png(figure)
