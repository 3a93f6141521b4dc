"""The figures of the pages: SVG in the colours of the page, each with what it shows in words."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from aigc.reporting.grid import GAP, grid
from aigc.reporting.svg import BAD, COLOURS, INK, MARK, NAMES, SETTINGS, Drawing, drawing

MAX_CLASSES = 12  # with more, the confusion matrix is drawn without numbers, and no text lists the classes
MARKERS = "osD^vP*X<>hp"  # of the methods: colour alone does not tell them apart
SHADES = LinearSegmentedColormap.from_list("shades", [(*mpl.colors.to_rgb(COLOURS[0]), alpha)
                                                      for alpha in (0, 1)])


class Point(NamedTuple):
    """A model in a trade-off. cost: what is on the horizontal axis. colour: #rrggbb."""

    method: str
    cost: float
    fid: float
    colour: str


def losses(history: pd.DataFrame) -> Drawing:
    """The loss of each player over the images of training."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(4.2, 2.6))
        axes = figure.subplots()
        ends = []
        for column in (name for name in history if name.startswith("loss/")):
            player, values = column.removeprefix("loss/"), history[column]
            axes.plot(history["images"] / 1000, values, label=player, linewidth=1.4)
            known = values.dropna()
            if len(known):
                ends.append(f"{player} from {known.iloc[0]:.3g} to {known.iloc[-1]:.3g}")
        axes.set_xlabel("images of training, thousands")
        axes.set_ylabel("loss")
        axes.legend(frameon=False, fontsize=8)
        return drawing(figure, f"Loss over {history['images'].iloc[-1]:,} images of training: "
                               f"{', '.join(ends) or 'none is known'}.")


def class_shares(classes: pd.DataFrame) -> Drawing:
    """The share of samples that the evaluator predicts as each class, with the even share as a line."""
    with mpl.rc_context(NAMES):
        figure = Figure(figsize=(4.2, 2.6))
        axes = figure.subplots()
        share = 100 * classes["count"] / classes["count"].sum()
        names = classes["class"].astype(str).tolist()
        axes.bar(names, share, width=0.7)
        axes.axhline(100 / len(classes), color=INK, linewidth=1, linestyle="--")
        axes.set_xlabel("class predicted by the evaluator (dashed: even share)")
        axes.set_ylabel("% of samples")
        shown, which = list(range(len(names))), ""
        if len(names) > MAX_CLASSES:
            shown, which = [int(share.argmin()), int(share.argmax())], ", the rarest and the most frequent"
        listed = ", ".join(f"{names[index]} {share.iloc[index]:.1f}%" for index in shown)
        return drawing(figure, f"Share of samples by predicted class{which}: {listed}. "
                               f"An even share is {100 / len(classes):.1f}%.")


def confusion(classes: pd.DataFrame) -> Drawing:
    """The confusion matrix, requested class (row) and predicted class (column), in % of a row.

    classes: the rows of classes.csv.
    """
    with mpl.rc_context({**NAMES, "axes.grid": False}):
        figure = Figure(figsize=(4.2, 3.6))
        axes = figure.subplots()
        names = classes["class"].astype(str).tolist()
        shares = classes[[f"seen as {name}" for name in names]].to_numpy(float)
        shares = 100 * shares / shares.sum(1, keepdims=True).clip(min=1)
        axes.imshow(shares, cmap=SHADES, vmin=0, vmax=100, interpolation="none")
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names)
        if len(names) <= MAX_CLASSES:
            for row, column in zip(*(shares >= 0.5).nonzero(), strict=True):
                axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", fontsize=7,
                          color="white" if shares[row, column] > 50 else INK)
        axes.set_xlabel("predicted by the evaluator")
        axes.set_ylabel("requested")
        return drawing(figure, _confused(names, shares))


def _confused(names: Sequence[str], shares: np.ndarray) -> str:
    wrong = shares * (1 - np.eye(len(shares)))
    row, column = divmod(int(wrong.argmax()), len(wrong))
    said = f"The requested class is predicted for {np.diag(shares).mean():.1f}% of the samples."
    if not wrong.any():
        return said
    return (f"{said} The most frequent error: {names[row]} requested, {names[column]} predicted, "
            f"{wrong[row, column]:.1f}% of the row.")


def pairs(samples: np.ndarray, originals: np.ndarray, rows: pd.DataFrame) -> Drawing:
    """Samples above their nearest training pictures, with the relative distance of each pair, red if flagged.

    samples, originals: uint8 (n, C, H, W). rows: those of nearest.csv, in the same order.
    """
    with mpl.rc_context({**SETTINGS, "axes.grid": False}):
        canvas = grid(np.concatenate([samples, originals]), len(rows))
        figure = Figure(figsize=(6.3, 6.3 * canvas.shape[0] / canvas.shape[1] + 0.3))
        axes = figure.subplots()
        axes.imshow(canvas, cmap="gray", vmin=0, vmax=255, interpolation="none")
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
        distances, flagged = rows["relative_distance"], int(rows["flagged"].sum())
        return drawing(figure, f"{len(rows)} samples, each above the training picture nearest to it. "
                               f"Relative distances: {distances.min():.2f} to {distances.max():.2f}. "
                               f"Near-duplicates: {flagged}.")


def ranking(metrics: dict[str, dict[str, Any]], marks: dict[str, dict[str, Any]], floor: float) -> Drawing:
    """The FID of each method with its interval among the marks of the ruler, best first, and the floor as a
    line. marks: title of a damage -> its metrics.
    """
    with mpl.rc_context(SETTINGS):
        rows = {**marks, **metrics}
        figure = Figure(figsize=(4.6, 0.7 + 0.24 * len(rows)))
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
        _plain_ticks(axes.xaxis)
        axes.set_yticks(range(len(order)), order)
        for label in axes.get_yticklabels():
            label.set_color(INK if label.get_text() in metrics else MARK)
        axes.set_ylim(-0.6, len(order) - 0.4)
        axes.set_xlabel("FID, lower is better")
        said = ", ".join(f"{name} {rows[name]['fid']['value']:.3g}" for name in reversed(order))
        return drawing(figure, f"FID of methods and of damaged real pictures, best first: {said}. "
                               f"The floor is {floor:.3g}.")


def trade_off(points: Sequence[Point], axis: str) -> Drawing:
    """FID over a cost, on logarithmic axes, with a line through the points that no other one beats in both.

    points: one or more. axis: the title of the horizontal axis.
    """
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(4.6, 2.9))
        axes = figure.subplots()
        best = unbeaten(points)
        axes.step([point.cost for point in best], [point.fid for point in best], where="post", color=MARK,
                  linewidth=1, linestyle="--")
        for index, method in enumerate(dict.fromkeys(point.method for point in points)):
            own = [point for point in points if point.method == method]
            axes.scatter([point.cost for point in own], [point.fid for point in own], c=own[0].colour,
                         label=method, s=34, marker=MARKERS[index % len(MARKERS)], edgecolors=INK,
                         linewidths=0.6)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for one in (axes.xaxis, axes.yaxis):
            _plain_ticks(one)
        axes.set_xlabel(axis)
        axes.set_ylabel("FID, lower is better")
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        said = "; ".join(f"{point.method}, FID {point.fid:.3g} at {point.cost:,.0f}" for point in best)
        return drawing(figure, f"FID over {axis}. No other one is better in both than: {said}.")


def unbeaten(points: Sequence[Point]) -> list[Point]:
    """The points than which no other one has both less cost and a lower FID, cheapest first."""
    found: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, point.fid)):
        if not found or point.fid < found[-1].fid:
            found.append(point)
    return found


def _plain_ticks(axis: Any) -> None:
    """Ticks at 1, 2 and 5 times powers of ten, in plain numbers; more of them where the values are close."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 5 * low else (1, 1.5, 2, 3, 5, 7)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.9g}"))
    axis.set_minor_formatter(NullFormatter())
