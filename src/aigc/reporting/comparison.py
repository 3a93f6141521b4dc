"""Two models side by side: their metrics with intervals, which differences are real, and samples of both."""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from aigc import methods
from aigc.core import runtime
from aigc.core.errors import AigcError
from aigc.metrics import table
from aigc.model import sampling
from aigc.model.card import read_card
from aigc.provenance import lookup
from aigc.reporting.grid import grid, write_png
from aigc.tracking import finished

SAMPLES = 64  # of each model, in a square
SCALE = 2


def compare(names: Sequence[str], picture: Path | None, switches: runtime.RuntimeConfig) -> str:
    """The table of two models, as text. picture: where samples of both are written, the first on the left.

    Raises AigcError where a model has no evaluated run, or where the two were not evaluated alike.
    """
    with ExitStack() as stack:
        folders = [stack.enter_context(lookup.any_trained(name)) for name in names]
        cards = [read_card(folder) for folder in folders]
        runs = [finished.evaluated(name, card.weights_sha256, card.sha256)
                for name, card in zip(names, cards, strict=True)]
        if runs[0].protocol != runs[1].protocol:
            raise AigcError(f"{names[0]} and {names[1]} cannot be compared: they were evaluated with another "
                            "extractor, n or test set; evaluate both alike")
        if picture:
            device = runtime.start_torch(switches.arithmetic, switches.threads)
            both = np.concatenate([_samples(folder, device) for folder in folders], axis=1)
            write_png(picture, both, SCALE)
    return as_text(names, [run.metrics for run in runs])


def _samples(folder: Path, device: runtime.Device) -> np.ndarray:
    model, _ = methods.load(folder, device)
    images = torch.cat(list(sampling.blocks(model, 0, SAMPLES)))
    return grid(images.expand(-1, 3, -1, -1).numpy(), math.isqrt(SAMPLES))


def as_text(names: Sequence[str], metrics: Sequence[Mapping[str, float]]) -> str:
    """One line a metric. metrics: those of an MLflow run, each beside its `_low` and `_high`."""
    rows = [(metric.heading, *(_shown(metric.name, one) for one in metrics), better(metric, names, metrics))
            for metric in table.METRICS if all(metric.name in one for one in metrics)]
    rows.insert(0, ("metric", *names, "better"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{title:<{widths[0]}}  {first:>{widths[1]}}  {second:>{widths[2]}}  {verdict}"
             for title, first, second, verdict in rows]
    return "\n".join(lines)


def better(metric: table.Metric, names: Sequence[str], metrics: Sequence[Mapping[str, float]]) -> str:
    """The name of the better model, "no real difference", or "no interval"."""
    ends = [(one.get(f"{metric.name}_low"), one.get(f"{metric.name}_high")) for one in metrics]
    (low, high), (other_low, other_high) = ends
    if low is None or high is None or other_low is None or other_high is None:
        return "no interval"
    if high >= other_low and other_high >= low:
        return "no real difference"
    first_is_lower = high < other_low
    return names[0] if first_is_lower == (metric.better == "lower") else names[1]


def _shown(name: str, metrics: Mapping[str, float]) -> str:
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    interval = "" if low is None or high is None else f" [{low:.4g}, {high:.4g}]"
    return f"{metrics[name]:.4g}{interval}"
