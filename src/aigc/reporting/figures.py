"""The figures of the report. Equal on every machine: without user settings, with matplotlib's own fonts."""

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

INK, GRID, BAD, MARK = "#1d2730", "#d8dee4", "#b3261e", "#6b7680"
MAX_CLASSES = 12  # with more, the confusion matrix is drawn without numbers
COLOURS = ["#2c6e9b", "#d1495b", "#3a7d44", "#edae49", "#7b4fa3", "#00798c", "#8d5524"]
STYLE: dict[str, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
                         "axes.edgecolor": INK, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK,
                         "ytick.color": INK, "axes.grid": True, "grid.color": GRID, "axes.axisbelow": True,
                         "axes.prop_cycle": cycler(color=COLOURS), "figure.constrained_layout.use": True}

SETTINGS: Any = {**mpl.rcParamsDefault, **STYLE}
NAMES: Any = {**SETTINGS, "text.parse_math": False}  # the name of a class may contain dollar signs


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=160, metadata={"Software": None})
    return stream.getvalue()


def losses(history: pd.DataFrame) -> bytes:
    """The loss of each player over the images of training: a PNG."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(4.2, 2.6))
        axes = figure.subplots()
        for column in (name for name in history if name.startswith("loss/")):
            axes.plot(history["images"] / 1000, history[column], label=column.removeprefix("loss/"),
                      linewidth=1.4)
        axes.set_xlabel("images of training, thousands")
        axes.set_ylabel("loss")
        axes.legend(frameon=False, fontsize=8)
        return _png(figure)


def class_shares(classes: pd.DataFrame) -> bytes:
    """The share of samples that the evaluator predicts as each class, with the even share as a line: a PNG.
    """
    with mpl.rc_context(NAMES):
        figure = Figure(figsize=(4.2, 2.6))
        axes = figure.subplots()
        share = 100 * classes["count"] / classes["count"].sum()
        axes.bar(classes["class"].astype(str), share, width=0.7)
        axes.axhline(100 / len(classes), color=INK, linewidth=1, linestyle="--")
        axes.set_xlabel("class predicted by the evaluator (dashed: even share)")
        axes.set_ylabel("% of samples")
        return _png(figure)


def confusion(classes: pd.DataFrame) -> bytes:
    """The confusion matrix, requested class (row) and predicted class (column), in % of a row: a PNG.

    classes: the rows of classes.csv.
    """
    with mpl.rc_context({**NAMES, "axes.grid": False}):
        figure = Figure(figsize=(4.2, 3.6))
        axes = figure.subplots()
        names = classes["class"].astype(str).tolist()
        shares = classes[[f"seen as {name}" for name in names]].to_numpy(float)
        shares = 100 * shares / shares.sum(1, keepdims=True).clip(min=1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names)
        if len(names) <= MAX_CLASSES:
            for row, column in zip(*(shares >= 0.5).nonzero(), strict=True):
                axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", fontsize=7,
                          color="white" if shares[row, column] > 50 else INK)
        axes.set_xlabel("predicted by the evaluator")
        axes.set_ylabel("requested")
        return _png(figure)


def pairs(samples: np.ndarray, originals: np.ndarray, rows: pd.DataFrame) -> bytes:
    """Samples above their nearest training pictures, with the relative distance of each pair, red if flagged:
    a PNG.

    samples, originals: uint8 (n, C, H, W). rows: those of nearest.csv, in the same order.
    """
    with mpl.rc_context({**SETTINGS, "axes.grid": False}):
        figure = Figure(figsize=(6.3, 1.35))
        axes = figure.subplots()
        canvas = grid(np.concatenate([samples, originals]), len(rows))
        axes.imshow(canvas, cmap="gray", vmin=0, vmax=255)
        axes.spines[:].set_visible(False)
        height, step = canvas.shape[0], (canvas.shape[1] - GAP) / len(rows)
        labels = [f"{distance:.2f}" for distance in rows["relative_distance"]]
        axes.set_xticks((np.arange(len(rows)) + 0.5) * step, labels, fontsize=7)
        axes.set_yticks([])
        axes.tick_params(length=0)
        for column in np.flatnonzero(rows["flagged"]):
            axes.get_xticklabels()[column].set_color(BAD)
            axes.add_patch(Rectangle((column * step, 0), step, height - 1, fill=False, edgecolor=BAD,
                                     linewidth=2))
        return _png(figure)


def ranking(metrics: dict[str, dict[str, Any]], marks: dict[str, dict[str, Any]], floor: float) -> bytes:
    """The FID of each method with its interval among the marks of the ruler, best first, and the floor as a
    line: a PNG. marks: title of a damage -> its metrics.
    """
    with mpl.rc_context(SETTINGS):
        rows = {**marks, **metrics}
        figure = Figure(figsize=(6.2, 0.9 + 0.26 * len(rows)))
        axes = figure.subplots()
        order = sorted(rows, key=lambda name: -rows[name]["fid"]["value"])
        for row, name in enumerate(order):
            fid = rows[name]["fid"]
            if name not in metrics:
                axes.plot(max(fid["value"], 1e-3), row, "D", color=MARK, markersize=4)
                continue
            low, high = fid.get("low", fid["value"]), fid.get("high", fid["value"])
            axes.plot([max(low, 1e-3), high], [row, row], color=COLOURS[0], linewidth=3,
                      solid_capstyle="butt")
            axes.plot(fid["value"], row, "o", color=COLOURS[0])
        axes.axvline(floor, color=COLOURS[1], linewidth=1.2, linestyle="--")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_yticks(range(len(order)), order)
        for label in axes.get_yticklabels():
            label.set_color(INK if label.get_text() in metrics else MARK)
        axes.set_ylim(-0.6, len(order) - 0.4)
        axes.set_xlabel("FID, lower is better (dashed: floor; grey: damaged real pictures)")
        return _png(figure)


def cost(points: list[tuple[str, float, float, str]]) -> bytes:
    """FID over training time, on logarithmic axes: a PNG. points: (method, seconds, FID, colour) of each run.
    """
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
