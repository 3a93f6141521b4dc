"""Runs that differ in train.seed alone, as one recipe with mean and spread over seeds.

Numbers are compared within one protocol.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from aigc.core.errors import DataError
from aigc.metrics.intervals import of_mean
from aigc.tracking import finished, store
from aigc.tracking.finished import Finished
from aigc.workspace import lockfile

SEED = "train.seed"


@dataclass(frozen=True)
class Recipe:
    """Runs that differ in seed alone, the newest of each. differs: params that the recipes differ in."""

    method: str
    runs: list[Finished]
    differs: dict[str, str]

    @property
    def seeds(self) -> str:
        """The seeds, in order."""
        return ", ".join(
            sorted((run.params.get(SEED, "?") for run in self.runs), key=lambda seed: (len(seed), seed))
        )

    def over_seeds(self, metric: str) -> dict[str, float]:
        """Mean over seeds; for two or more, Student's 95% interval of it. {} where no run has the number."""
        values = [run.metrics[metric] for run in self.runs if metric in run.metrics]
        return of_mean(values) if values else {}


def recipes(found: Iterable[Finished]) -> list[Recipe]:
    """Evaluated runs of one protocol as recipes, the best FID first."""
    newest: dict[tuple[str, str], Finished] = {}
    for run in sorted(found, key=lambda run: run.started):
        newest[run.recipe, run.params.get(SEED, run.run_id)] = run
    grouped: dict[str, list[Finished]] = {}
    for (recipe, _), run in newest.items():
        grouped.setdefault(recipe, []).append(run)
    made = [
        Recipe(members[0].method, members, _differences(members[0], newest.values()))
        for members in grouped.values()
    ]
    return sorted(made, key=lambda recipe: recipe.over_seeds("fid")["value"])


def by_protocol() -> dict[str, list[Finished]]:
    """The evaluated runs, newest first, by protocol. Raises DataError when there are none."""
    evaluated = [run for run in finished.every() if "fid" in run.metrics and run.protocol]
    if not evaluated:
        # Where dvc.lock is up to date `dvc repro` runs nothing, and nothing reaches the store.
        known = any(name.startswith("evaluate@") for name in lockfile.read_lock(Path()))
        remedy = "`aigc sync` logs the models of dvc.lock" if known else "`dvc repro` makes some"
        raise DataError(f"the MLflow store {store.shown(store.store_uri())} has no evaluated run; {remedy}")
    found: dict[str, list[Finished]] = {}
    for run in sorted(evaluated, key=lambda run: -run.started):
        found.setdefault(run.protocol, []).append(run)
    return found


def _differences(run: Finished, others: Iterable[Finished]) -> dict[str, str]:
    same = [other for other in others if other.method == run.method]
    return {
        key: value
        for key, value in sorted(run.params.items())
        if key != SEED and any(other.params.get(key) != value for other in same)
    }
