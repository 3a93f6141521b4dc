"""The pictures of the report, drawn the same on every machine: no user settings, no fonts but matplotlib's own."""

import io
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from aigc.reporting.grid import GAP, grid

INK, GRID, BAD = "#1d2730", "#d8dee4", "#b3261e"
MOST_NUMBERS = 12  # classes whose confusion is written out
COLOURS = ["#2c6e9b", "#d1495b", "#3a7d44", "#edae49", "#7b4fa3", "#00798c", "#8d5524"]
STYLE: dict[str, Any] = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": INK, "text.color": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": GRID,
    "axes.axisbelow": True, "axes.prop_cycle": cycler(color=COLOURS), "figure.constrained_layout.use": True,
}

SETTINGS: Any = {**mpl.rcParamsDefault, **STYLE}
NAMES: Any = {**SETTINGS, "text.parse_math": False}  # the name of a class may hold dollars


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
    with mpl.rc_context(NAMES):
        figure = Figure(figsize=(4.2, 2.6))
        axes = figure.subplots()
        share = 100 * classes["count"] / classes["count"].sum()
        axes.bar(classes["class"].astype(str), share, width=0.7)
        axes.axhline(100 / len(classes), color=INK, linewidth=1, linestyle="--")
        axes.set_xlabel("class as seen by the evaluator (dashed: uniform)")
        axes.set_ylabel("% of samples")
        return _png(figure)


def confusion(classes: pd.DataFrame) -> bytes:
    """Classes asked for (rows) against classes seen (columns), in % of a row: a PNG. classes: the rows of classes.csv."""
    with mpl.rc_context({**NAMES, "axes.grid": False}):
        figure = Figure(figsize=(4.2, 3.6))
        axes = figure.subplots()
        names = classes["class"].astype(str).tolist()
        shares = classes[[f"seen as {name}" for name in names]].to_numpy(float)
        shares = 100 * shares / shares.sum(1, keepdims=True).clip(min=1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names)
        if len(names) <= MOST_NUMBERS:
            for row, column in zip(*(shares >= 0.5).nonzero(), strict=True):
                axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", fontsize=7,
                          color="white" if shares[row, column] > 50 else INK)
        axes.set_xlabel("seen by the evaluator")
        axes.set_ylabel("asked for")
        return _png(figure)


def pairs(samples: np.ndarray, originals: np.ndarray, rows: pd.DataFrame) -> bytes:
    """Samples above the training pictures nearest to them, uint8 (n, C, H, W) each, with the relative distance of each pair,
    red where it is flagged: a PNG. rows: those of nearest.csv, in the order of the pictures."""
    with mpl.rc_context({**SETTINGS, "axes.grid": False}):
        figure = Figure(figsize=(6.3, 1.35))
        axes = figure.subplots()
        sheet = grid(np.concatenate([samples, originals]), len(rows))
        axes.imshow(sheet, cmap="gray", vmin=0, vmax=255)
        axes.spines[:].set_visible(False)
        height, step = sheet.shape[0], (sheet.shape[1] - GAP) / len(rows)
        axes.set_xticks((np.arange(len(rows)) + 0.5) * step, [f"{distance:.2f}" for distance in rows["relative_distance"]], fontsize=7)
        axes.set_yticks([])
        axes.tick_params(length=0)
        for column in np.flatnonzero(rows["flagged"]):
            axes.get_xticklabels()[column].set_color(BAD)
            axes.add_patch(Rectangle((column * step, 0), step, height - 1, fill=False, edgecolor=BAD, linewidth=2))
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


def cost(points: list[tuple[str, float, float, str]]) -> bytes:
    """FID against training time on two logarithmic axes: a PNG. points: (method, seconds, FID, colour), one a run."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(5.2, 3.2))
        axes = figure.subplots()
        for method in dict.fromkeys(name for name, *_ in points):
            seconds, fids, colours = zip(*(point[1:] for point in points if point[0] == method), strict=True)
            axes.scatter(seconds, fids, c=colours[0], label=method, s=22, alpha=0.85)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("seconds of training")
        axes.set_ylabel("FID")
        if points:
            axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        return _png(figure)
