"""The numbers of two results compared, each within the tolerance of its metric."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc.core import files, paths
from aigc.metrics.table import METRICS

# How far a number may move, relatively, where another processor computed other bytes.
TOLERANCES = {**{metric.name: metric.tolerance for metric in METRICS if metric.tolerance is not None},
              "accuracy": 0.01, "memorization/passes": 0.0}


@dataclass(frozen=True)
class MetricVerdict:
    """One metric, before and now; change is relative to before."""

    metric: str
    committed: float
    found: float
    tolerance: float
    within: bool

    @property
    def change(self) -> float:
        return (self.found - self.committed) / abs(self.committed) if self.committed else math.inf

    def __str__(self) -> str:
        if self.found == self.committed:
            return f"{self.metric} {self.committed}"
        return (f"{self.metric} {self.committed} -> {self.found} ({self.change:+.3%}, "
                f"{'within' if self.within else 'BEYOND'} {self.tolerance:.0%})")


def read_metrics(folder: Path, outs: Iterable[str]) -> dict[str, float]:
    """Every number with a tolerance in the metrics files among `outs`: {"gan.fid": 12.3, ...}."""
    numbers: dict[str, float] = {}
    for path in sorted(folder / out for out in outs if Path(out).parent == paths.metrics("x").parent):
        if path.exists():
            content = values(files.read_json(path))
            numbers |= {f"{path.stem}.{name}": value for name, value in content.items()
                        if _tolerance(name) is not None}
    return numbers


def _tolerance(name: str) -> float | None:
    """The tolerance of a number (a floor has its metric's); None where it has none."""
    return TOLERANCES.get(name.removeprefix("floor/"))


def values(content: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of one metrics file, {"fid": 12.3, ...}, and the audit's verdict."""
    found = {name: part.get("value") if isinstance(part, Mapping) else part for name, part in content.items()}
    found |= {f"floor/{name}": part["value"] for name, part in content.get("floor", {}).items()}
    if "memorization" in content:
        found["memorization/passes"] = content["memorization"]["passes"]
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


def compare_metrics(committed: Mapping[str, float], found: Mapping[str, float],
                    share: float | None = None) -> list[MetricVerdict]:
    """Each committed metric against what was found, under its tolerance (or `share`). A missing one fails."""
    verdicts = []
    for name, value in committed.items():
        tolerance = (_tolerance(name.rpartition(".")[2]) or 0.0) if share is None else share
        now = found.get(name, math.nan)
        is_within = abs(now - value) <= tolerance * abs(value)
        verdicts.append(MetricVerdict(name, value, now, tolerance, is_within))
    return verdicts
