"""An MLflow run made again from what it recorded (commit, uncommitted changes, params), and compared.

The run's store may be this project's, one that came from another machine, or a server.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc.core import files, paths
from aigc.core.errors import AigcError, GateError
from aigc.metrics.intervals import flat
from aigc.reproduction import checkout
from aigc.reproduction.comparison import IDENTICAL, ancestors, compare, first_to_differ, table
from aigc.reproduction.metric_comparison import TOLERANCES, MetricVerdict, compare_metrics
from aigc.workspace import git, lockfile, machine

if TYPE_CHECKING:
    from mlflow.entities import Run

SHOWN = 8  # differences of the environment


def run(run_id: str, tolerant: bool, share: float | None, keep: Path | None, as_json: bool) -> int:
    """Make the run again and print the verdict. Raises GateError unless weights and metrics are equal."""
    from aigc.tracking import finished
    from aigc.tracking.run import PATCH

    git.top()
    client, run = finished.read_run(run_id)
    method, weights = run.data.tags.get("aigc.method"), run.data.tags.get("aigc.weights_sha256")
    if not method or not weights:
        raise AigcError(f"run {run_id} ({run.info.status}) has no trained model to compare with; "
                        "name a finished run of ours")
    with tempfile.TemporaryDirectory(prefix="aigc-source-") as scratch:
        source = finished.artifacts(client, run, finished.SOURCE, Path(scratch))
        differences = environment_differences(run.data.tags, source / paths.REQUIREMENTS)
        print_environment(differences)
        with checkout.worktree(run.data.tags.get("mlflow.source.git.commit", ""), keep) as folder:
            restore(source, folder, PATCH)
            recorded = lockfile.read_lock(source)
            targets = ["train", "evaluate"] if is_evaluated(run) else ["train"]
            checkout.remake(folder, [f"{stage}@{method}" for stage in targets])
            found = lockfile.read_lock(folder)
            # The lock was recorded as training began: later stages in it may be those of an older run.
            before_training = [name for name in ancestors(found, f"train@{method}") if name in recorded]
            stages = compare(recorded, found, wanted=before_training)
            now = files.sha256(folder / paths.model(method) / "model.safetensors")
            metrics = judged_metrics(run, folder / paths.metrics(method), share)
    verdict = {"run_id": run_id, "method": method, "environment": differences,
               "stages": [asdict(stage) for stage in stages], "weights": {"recorded": weights, "found": now},
               "metrics": [asdict(metric) for metric in metrics]}
    print(json.dumps(verdict, indent=1) if as_json
          else text(verdict, table(stages, []) if stages else "", metrics))
    if weights == now and all(metric.found == metric.committed for metric in metrics):
        compared = f"weights and {len(metrics)} metrics" if metrics else "weights"
        print(f"identical: {compared} of {method}", file=sys.stderr)
        return 0
    first = first_to_differ(stages)
    where = f"{'train' if weights != now else 'evaluate'}@{method}"
    where = f"{first.stage} ({', '.join(first.outs)})" if first else where
    summary = f"run {run_id} differs, first {where}"
    judged = [metric for metric in metrics if metric.metric in TOLERANCES]
    if tolerant and judged and all(metric.within for metric in judged):
        print(f"WARNING: {summary}; every metric is within its tolerance", file=sys.stderr)
        return 0
    cause = f"; the environment differs in {', '.join(differences)}" if differences else ""
    raise GateError(f"{summary}{cause}; --keep DIR leaves the checkout to look into")


def is_evaluated(run: "Run") -> bool:
    """Whether the run was evaluated, not only trained."""
    return any(name in TOLERANCES for name in run.data.metrics)


def restore(source: Path, folder: Path, patch_name: str) -> None:
    """Put what the run recorded over the checkout: its uncommitted changes, then its params."""
    patch = source / patch_name
    if patch.exists() and patch.stat().st_size:
        git.run("-C", str(folder), "apply", "--binary", "--whitespace=nowarn", str(patch.absolute()))
    if (source / paths.PARAMS).exists():
        shutil.copyfile(source / paths.PARAMS, folder / paths.PARAMS)


def environment_differences(tags: Mapping[str, str], requirements: Path) -> dict[str, list[str]]:
    """{what: [then, now]} of the machine that the run recorded, and of its locked packages."""
    now = machine.describe()
    then = {key.removeprefix("machine."): value for key, value in tags.items() if key.startswith("machine.")}
    found = {key: [value, now.get(key, "unknown")] for key, value in then.items() if now.get(key) != value}
    if not requirements.exists():
        return found
    return found | _other_versions(requirements.read_text(encoding="utf-8"))


def _other_versions(lock: str) -> dict[str, list[str]]:
    """{package: [locked, installed]} where they differ, on this platform."""
    from importlib import metadata

    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import Version

    found = {}
    for line in lock.replace("\\\n", " ").splitlines():
        try:
            wanted = Requirement(line.partition("#")[0].partition(" --hash")[0].strip())
        except InvalidRequirement:
            continue
        if wanted.marker and not wanted.marker.evaluate():
            continue
        locked = next((pin.version for pin in wanted.specifier if pin.operator == "=="), None)
        try:
            installed = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            installed = "not installed"
        if locked and (installed == "not installed" or Version(installed) != Version(locked)):
            found[wanted.name] = [locked, installed]
    return found


def print_environment(differences: Mapping[str, list[str]]) -> None:
    """Say on stderr how this environment differs from the run's, before anything is computed."""
    if not differences:
        print("environment: the same machine model, libraries and versions", file=sys.stderr)
    for what, (then, now) in list(differences.items())[:SHOWN]:
        print(f"environment: {what}: `{then}` then, `{now}` here", file=sys.stderr)
    if len(differences) > SHOWN:
        print(f"environment: and {len(differences) - SHOWN} more (--json names all)", file=sys.stderr)


def judged_metrics(run: "Run", path: Path, share: float | None) -> list[MetricVerdict]:
    """The run's numbers against those in the metrics file at `path`; [] when the run was not evaluated."""
    if not is_evaluated(run):
        return []
    content: dict[str, Any] = files.read_json(path) if path.exists() else {}
    now = flat(content)
    before = {name: value for name, value in run.data.metrics.items() if name in now or name in TOLERANCES}
    return compare_metrics(before, now, share)


def text(verdict: Mapping[str, Any], stages: str, metrics: list[MetricVerdict]) -> str:
    """The verdict as lines."""
    weights = verdict["weights"]
    change = f"{weights['recorded'][:16]} -> {weights['found'][:16]}"
    change = IDENTICAL if weights["recorded"] == weights["found"] else change
    lines = [stages, f"weights of {verdict['method']}: {change}", *(str(metric) for metric in metrics)]
    return "\n".join(filter(None, lines))
