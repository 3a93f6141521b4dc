"""Proof by doing it again: the committed pipeline re-made in a clean clone, compared stage by stage.

A dvc.lock alone proves nothing, since `dvc commit -f` can write any hash into it; a forced re-run does.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aigc.core import files, paths, provenance
from aigc.core.errors import AigcError, GateError

# How far a metric may move, relatively, where another processor computed other bytes.
TOLERANCES = {"fid": 0.25, "is": 0.05, "accuracy": 0.01}
IDENTICAL, DIFFERS, MISSING = "identical", "differs", "not made"


@dataclass(frozen=True)
class StageVerdict:
    """One stage: its verdict, whether its deps already differed, and which outs did."""

    stage: str
    verdict: str
    deps_differ: bool
    outs: list[str]


@dataclass(frozen=True)
class MetricVerdict:
    """One metric, before and now."""

    metric: str
    committed: float
    found: float
    tolerance: float
    within: bool


def record() -> int:
    """Write lock_origin.json beside dvc.lock, unless the lock is the one on record."""
    lock = files.sha256(paths.LOCK)
    if not (paths.LOCK_ORIGIN.exists() and files.read_json(paths.LOCK_ORIGIN).get("lock_sha256") == lock):
        files.write_json(paths.LOCK_ORIGIN, {"lock_sha256": lock, "machine": provenance.machine()})
        print(f"{paths.LOCK_ORIGIN}: written; commit it with {paths.LOCK}")
    return 0


def run(strict: bool, keep: Path | None, as_json: bool, summary: Path | None) -> int:
    """Re-make HEAD, print the verdict, return 0 or raise GateError naming the first stage that differs."""
    with _clone(keep) as clone:
        committed, before = _lock(clone), _metrics(clone)
        _remake(clone)
        stages = compare(committed, _lock(clone))
        metrics = compare_metrics(before, _metrics(clone))
    origin = files.read_json(paths.LOCK_ORIGIN) if paths.LOCK_ORIGIN.exists() else {}
    made_on = _cpu_on_record(origin)
    verdict = {"stages": [asdict(stage) for stage in stages], "metrics": [asdict(metric) for metric in metrics],
               "made_on": made_on, "here": provenance.cpu_model()}
    print(json.dumps(verdict, indent=1) if as_json else table(stages, metrics))
    if summary:
        with summary.open("a") as stream:
            stream.write(markdown(stages, metrics))
    return _judge(stages, metrics, made_on, strict)


def _cpu_on_record(origin: dict[str, Any]) -> str:
    if origin.get("lock_sha256") != files.sha256(paths.LOCK):
        return "unknown"
    return str(origin["machine"]["cpu"])


def _judge(stages: list[StageVerdict], metrics: list[MetricVerdict], made_on: str, strict: bool) -> int:
    differing = [stage for stage in stages if stage.verdict != IDENTICAL]
    if not differing:
        print(f"identical: all {len(stages)} stages", file=sys.stderr)
        return 0
    first = next((stage for stage in differing if not stage.deps_differ), differing[0])
    story = f"{len(differing)} of {len(stages)} stages differ, first {first.stage} ({', '.join(first.outs)})"
    here = provenance.cpu_model()
    if strict or made_on in (here, "unknown"):
        raise GateError(f"{story}; `dvc repro` and commit the new dvc.lock, or undo what changed the result")
    outside = [metric for metric in metrics if not metric.within]
    if outside:
        raise GateError(f"{story}, and {outside[0].metric} moved from {outside[0].committed} to {outside[0].found}, "
                        f"beyond its tolerance of {outside[0].tolerance:.0%}")
    print(f"WARNING: {story}. The lock was made on `{made_on}`, this is `{here}`; every metric is within its tolerance.",
          file=sys.stderr)
    return 0


@contextmanager
def _clone(keep: Path | None) -> Iterator[Path]:
    top = provenance.git("rev-parse", "--show-toplevel").strip()
    if not top:
        raise AigcError(f"{Path.cwd()}: not a git repository; run in a clone of the project")
    if keep and keep.exists():
        raise AigcError(f"{keep}: exists; name a folder that does not")
    folder = keep or Path(tempfile.mkdtemp(prefix="aigc-verify-")) / "clone"
    try:
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", top, str(folder)], check=True)
        yield folder
    except subprocess.CalledProcessError as error:
        raise AigcError(f"`{' '.join(map(str, error.cmd[:4]))} …` failed with exit code {error.returncode} in {folder}; "
                        "its own message stands above") from error
    finally:
        if not keep:
            shutil.rmtree(folder.parent, ignore_errors=True)


def _remake(clone: Path) -> None:
    """`dvc repro --force` in the clone: its code, this environment's libraries, no cache but its own, this store."""
    from aigc.tracking import runs

    python = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}", "MLFLOW_TRACKING_URI": runs.store_uri()}
    environment.pop("PYTHONPATH", None)
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--force"], cwd=clone, env=environment, check=True,
                   stdout=sys.stderr)


def _lock(folder: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML

    path = folder / paths.LOCK
    if not path.exists():
        raise AigcError(f"{path.name}: not committed; run `dvc repro` and commit it")
    stages: dict[str, Any] = YAML(typ="safe", pure=True).load(path)["stages"]
    return stages


def compare(committed: dict[str, Any], found: dict[str, Any]) -> list[StageVerdict]:
    """Each committed stage against the same stage as it was made now, in the order of the committed lock."""
    verdicts = []
    for name, stage in committed.items():
        if name not in found:
            verdicts.append(StageVerdict(name, MISSING, False, []))
            continue
        deps, outs = (_differing(stage, found[name], part) for part in ("deps", "outs"))
        verdicts.append(StageVerdict(name, DIFFERS if outs else IDENTICAL, bool(deps), outs))
    return verdicts


def _differing(committed: dict[str, Any], found: dict[str, Any], part: str) -> list[str]:
    hashes = [{item["path"]: item["md5"] for item in stage.get(part, [])} for stage in (committed, found)]
    return sorted(path for path in {**hashes[0], **hashes[1]} if hashes[0].get(path) != hashes[1].get(path))


def _metrics(folder: Path) -> dict[str, float]:
    """Every number with a stated tolerance: {"gan.fid": 12.3, ...}."""
    numbers = {}
    for path in sorted((folder / paths.metrics("x").parent).glob("*.json")):
        for name, content in files.read_json(path).items():
            if name in TOLERANCES:
                numbers[f"{path.stem}.{name}"] = float(content["value"] if isinstance(content, dict) else content)
    return numbers


def compare_metrics(committed: dict[str, float], found: dict[str, float]) -> list[MetricVerdict]:
    """Each committed metric against what was found, under its tolerance; a missing one is out of it."""
    verdicts = []
    for name, value in committed.items():
        tolerance = TOLERANCES[name.rpartition(".")[2]]
        now = found.get(name, math.nan)
        verdicts.append(MetricVerdict(name, value, now, tolerance, abs(now - value) <= tolerance * abs(value)))
    return verdicts


def table(stages: list[StageVerdict], metrics: list[MetricVerdict]) -> str:
    """The verdict as text."""
    width = max(len(stage.stage) for stage in stages)
    lines = [f"{stage.stage:<{width}}  {stage.verdict:<9}  {', '.join(stage.outs)}{' (its deps differ)' if stage.deps_differ else ''}"
             for stage in stages]
    lines += [f"{metric.metric}: {metric.committed} -> {metric.found} ({'within' if metric.within else 'BEYOND'} {metric.tolerance:.0%})"
              for metric in metrics if metric.found != metric.committed]
    return "\n".join(line.rstrip() for line in lines)


def markdown(stages: list[StageVerdict], metrics: list[MetricVerdict]) -> str:
    """The verdict as Markdown tables, for the summary of a CI job."""
    rows = ["### Reproduction", "", "| stage | verdict | differing outs |", "|---|---|---|"]
    rows += [f"| {stage.stage} | {stage.verdict} | {', '.join(stage.outs)} |" for stage in stages]
    rows += ["", "| metric | committed | found | tolerance |", "|---|---|---|---|"]
    rows += [f"| {metric.metric} | {metric.committed} | {metric.found} | {metric.tolerance:.0%} |" for metric in metrics]
    return "\n".join([*rows, ""])
