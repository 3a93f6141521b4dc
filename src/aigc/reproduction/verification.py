"""Proof by doing it again: the committed pipeline re-made in a clean clone, compared stage by stage.

A dvc.lock alone proves nothing, since `dvc commit -f` can write any hash into it; a forced re-run does.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aigc.core import config, paths
from aigc.core.errors import AigcError, ConfigError, GateError
from aigc.reproduction import checkout, origin
from aigc.reproduction.comparison import (
    IDENTICAL,
    StageVerdict,
    compare,
    file_hashes,
    first_to_differ,
    markdown,
    table,
    weighed,
)
from aigc.reproduction.metric_comparison import MetricVerdict, compare_metrics, read_metrics
from aigc.workspace import lockfile, machine
from aigc.workspace.paths import LOCK


@dataclass(frozen=True)
class Request:
    """What to re-make (everything, unless methods or stages are named) and what to accept.

    tolerant: whether metrics decide where bytes differ, within `share` (default: each metric's tolerance).
    elsewhere: whether they decide on another CPU model than the lock's.
    """

    methods: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    tolerant: bool = False
    share: float | None = None
    elsewhere: bool = False


def run(request: Request, keep: Path | None, as_json: bool, summary: Path | None) -> int:
    """Re-make HEAD, print the verdict, return 0 or raise GateError naming the first stage that differs."""
    if summary:
        summary.open("a", encoding="utf-8").close()  # fails now, not after hours, where it cannot be written
    with checkout.clone(keep) as clone:
        committed = lockfile.read_lock(clone)
        if not committed:
            raise AigcError(f"{LOCK}: not committed; run `dvc repro` and commit it")
        # DVC keeps in dvc.lock the stages that dvc.yaml no longer has. Nothing makes or uses them.
        left = sorted({*committed} - {*checkout.stages(clone)})
        if left:
            print(f"not in dvc.yaml any more, so not judged: {', '.join(left)}", file=sys.stderr)
        committed = {name: stage for name, stage in committed.items() if name not in left}
        targets, tracked = targets_of(request, committed), file_hashes(clone, committed)
        before = read_metrics(clone, tracked)
        made_on = origin.machine_of(clone).get("cpu", "unknown")
        checkout.remake(clone, targets)
        found = lockfile.read_lock(clone)
        made = [out["path"] for stage in found.values() for out in stage.get("outs", [])]
        before = {name: value for name, value in before.items()
                  if str(paths.metrics(name.partition(".")[0])) in made or not targets}
        metrics = compare_metrics(before, read_metrics(clone, made), request.share)
        # Everything that is committed and everything that was made; with targets, what was made.
        wanted = [name for name in committed if name in found or not targets]
        wanted += [name for name in found if name not in committed]
        stages = weighed(compare(committed, found, tracked, wanted), metrics)
    verdict = {"stages": [asdict(stage) for stage in stages],
               "metrics": [asdict(metric) for metric in metrics],
               "made_on": made_on, "here": machine.cpu_model()}
    print(json.dumps(verdict, indent=1) if as_json else table(stages, metrics))
    if summary:
        with summary.open("a", encoding="utf-8") as stream:
            stream.write(markdown(stages, metrics))
    return judge(stages, metrics, made_on, request)


def targets_of(request: Request, committed: Mapping[str, Any]) -> list[str]:
    """The stages to ask DVC for; [] is everything. Raises ConfigError for a name that is not in dvc.lock."""
    groups = {name.partition("@")[0] for name in committed}
    known = sorted({*committed, *groups})
    methods = sorted(name.removeprefix("evaluate@") for name in committed if name.startswith("evaluate@"))
    for name in request.stages:
        if name not in known:
            raise ConfigError(f"{LOCK} has no stage `{name}`{config.did_you_mean(name, known)}")
    for name in request.methods:
        if name not in methods:
            raise ConfigError(f"{LOCK} has no method `{name}`{config.did_you_mean(name, methods)}")
    return [*request.stages, *(f"evaluate@{name}" for name in request.methods)]


def judge(stages: list[StageVerdict], metrics: list[MetricVerdict], made_on: str, request: Request) -> int:
    """0 when all is identical, or metrics decide and are within tolerance. Raises GateError otherwise."""
    stale = next((stage for stage in stages if stage.stale), None)
    first = first_to_differ(stages)
    if first is None and stale is None:
        print(f"identical: all {len(stages)} stages", file=sys.stderr)
        return 0
    if first is None and stale is not None:
        raise GateError(f"every out is identical, but {LOCK} is stale: {stale.stage} was recorded with "
                        f"another {', '.join(stale.stale)}; `dvc repro` and commit the new {LOCK}")
    assert first is not None
    count = sum(stage.verdict != IDENTICAL for stage in stages)
    if first.deps_differ:
        why = "whose deps differ already"
    elif first.stale:
        why = f"recorded with another {', '.join(first.stale)}"
    else:
        why = "whose deps are the committed ones"
    where = f"first {first.stage} ({', '.join(first.outs) or first.verdict})"
    summary = f"{count} of {len(stages)} stages differ, {where}, {why}"
    here = machine.cpu_model()
    metrics_decide = request.tolerant or (request.elsewhere and made_on not in (here, "unknown"))
    if not metrics_decide or stale or not first.outs:
        raise GateError(f"{summary}; `dvc repro` and commit the new {LOCK}, or undo what changed the result")
    outside = [metric for metric in metrics if not metric.within]
    if outside:
        moved = outside[0]
        raise GateError(f"{summary}, and {moved.metric} moved from {moved.committed} to {moved.found}, "
                        f"beyond its tolerance of {moved.tolerance:.0%}")
    if not metrics:
        raise GateError(f"{summary}, and no metric was made that shows how far; name a method with --method")
    print(f"WARNING: {summary}. The lock was made on `{made_on}`, this is `{here}`; "
          "every metric is within its tolerance.", file=sys.stderr)
    return 0
