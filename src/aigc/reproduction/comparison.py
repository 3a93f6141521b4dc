"""Two locks compared stage by stage, and the verdict as text, with the metrics that stand in differing outs.

Not for: making anything again (checkout, verification, rerun).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aigc.core import config, files, paths
from aigc.reproduction.metric_comparison import MetricVerdict

IDENTICAL, WITHIN, DIFFERS = "identical", "within tolerance", "differs"
MISSING, UNKNOWN = "not made", "not in dvc.lock"


@dataclass(frozen=True)
class StageVerdict:
    """One stage: its verdict, which outs differ, whether its deps differ, and what dvc.lock has wrong.

    stale: sources (code, data, requirements), params or the command that are not what dvc.lock says.
    """

    stage: str
    verdict: str
    deps_differ: bool
    outs: list[str]
    stale: list[str]


def ancestors(lock: Mapping[str, Any], stage: str) -> list[str]:
    """The stages of `lock` on whose outs `stage` depends, directly or not, in the order of the lock."""
    needed: set[str] = set()
    waiting = [stage]
    while waiting:
        deps = _hashes(lock[waiting.pop()], "deps")
        found = {name for name, entry in lock.items()
                 if any(overlaps(dep, out) for dep in deps for out in _hashes(entry, "outs"))}
        waiting += found - needed
        needed |= found
    return [name for name in lock if name in needed]


def overlaps(one: str, other: str) -> bool:
    """Whether two paths are the same or one lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def file_hashes(folder: Path, lock: Mapping[str, Any]) -> dict[str, str]:
    """{path: md5} of the outs of `lock` that are files in `folder`; in a fresh clone git tracks these."""
    outs = [out["path"] for stage in lock.values() for out in stage.get("outs", [])]
    return {path: files.md5(folder / path) for path in outs if (folder / path).is_file()}


def compare(committed: Mapping[str, Any], found: Mapping[str, Any],
            tracked: Mapping[str, str] | None = None,
            wanted: Iterable[str] | None = None) -> list[StageVerdict]:
    """Each wanted stage (default: each committed one) against the same stage as it was made now.

    tracked: {path: md5} of outs that git tracks; they must equal what was made, as the lock must.
    """
    made = {out["path"] for stage in (*committed.values(), *found.values()) for out in stage.get("outs", [])}
    verdicts = []
    for name in (committed if wanted is None else wanted):
        if name not in committed or name not in found:
            verdicts.append(StageVerdict(name, MISSING if name in committed else UNKNOWN, False, [], []))
            continue
        before, now = committed[name], found[name]
        deps, outs = (_differing(_hashes(before, part), _hashes(now, part)) for part in ("deps", "outs"))
        forged = [path for path, md5 in _hashes(now, "outs").items() if (tracked or {}).get(path, md5) != md5]
        inherited = [path for path in deps if any(overlaps(path, out) for out in made)]
        stale = [path for path in deps if path not in inherited]
        stale += _differing(config.flatten(before.get("params", {})), config.flatten(now.get("params", {})))
        stale += ["cmd"] if before.get("cmd") != now.get("cmd") else []
        differing = sorted({*outs, *forged})
        verdict = DIFFERS if differing else IDENTICAL
        verdicts.append(StageVerdict(name, verdict, bool(inherited), differing, stale))
    return verdicts


def _hashes(stage: Mapping[str, Any], part: str) -> dict[str, str]:
    return {item["path"]: item["md5"] for item in stage.get(part, [])}


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {**before, **now} if before.get(key) != now.get(key))


def weighed(stages: list[StageVerdict], metrics: list[MetricVerdict]) -> list[StageVerdict]:
    """The verdicts, with WITHIN for a stage that differs and whose every metric is within its tolerance."""
    weighed_ones = []
    for stage in stages:
        own = metrics_of(stage, metrics)
        is_within = stage.verdict == DIFFERS and own and all(metric.within for metric in own)
        weighed_ones.append(replace(stage, verdict=WITHIN) if is_within else stage)
    return weighed_ones


def metrics_of(stage: StageVerdict, metrics: list[MetricVerdict]) -> list[MetricVerdict]:
    """The metrics that stand in the differing outs of `stage`."""
    owned = {Path(out).stem for out in stage.outs if Path(out).parent == paths.metrics("x").parent}
    return [metric for metric in metrics if metric.metric.partition(".")[0] in owned]


def first_to_differ(stages: list[StageVerdict]) -> StageVerdict | None:
    """The first stage that differs though its deps do not, else the first that differs, else None."""
    differing = [stage for stage in stages if stage.verdict != IDENTICAL]
    causes = [stage for stage in differing if not stage.deps_differ]
    return next(iter(causes or differing), None)


def table(stages: list[StageVerdict], metrics: list[MetricVerdict]) -> str:
    """The verdict as text, a line a stage."""
    width = max(len(stage.stage) for stage in stages)
    lines = (f"{stage.stage:<{width}}  {stage.verdict:<{len(WITHIN)}}  {details(stage, metrics)}"
             for stage in stages)
    return "\n".join(line.rstrip() for line in lines)


def details(stage: StageVerdict, metrics: list[MetricVerdict]) -> str:
    """What differs in one stage: outs, metrics, deps."""
    parts = [", ".join(stage.outs), *(str(metric) for metric in metrics_of(stage, metrics))]
    parts += ["its deps differ"] if stage.deps_differ else []
    parts += [f"dvc.lock is stale: {', '.join(stage.stale)}"] if stage.stale else []
    return "; ".join(filter(None, parts))


def markdown(stages: list[StageVerdict], metrics: list[MetricVerdict]) -> str:
    """The verdict as Markdown tables, for the summary of a CI job."""
    rows = ["### Reproduction", "", "| stage | verdict | what differs |", "|---|---|---|"]
    rows += [f"| {stage.stage} | {stage.verdict} | {details(stage, metrics)} |" for stage in stages]
    rows += ["", "| metric | committed | found | tolerance |", "|---|---|---|---|"]
    rows += [f"| {metric.metric} | {metric.committed} | {metric.found} | {metric.tolerance:.0%} |"
             for metric in metrics]
    return "\n".join([*rows, ""])
