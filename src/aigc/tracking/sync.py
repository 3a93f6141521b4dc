"""aigc sync: MLflow's store holds what dvc.lock holds, whether its stages ran here or came from DVC's run
cache.

What joins a model to its numbers is its hash: dvc.lock may name a model of today and an evaluation of
yesterday's.
"""

import csv
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from aigc import methods
from aigc.core import config, files, paths, process
from aigc.core.errors import AigcError, StorageError
from aigc.evaluation import model_identity
from aigc.metrics.intervals import flat
from aigc.model.card import WEIGHTS, Card, parameter_count, read_card
from aigc.params import SECTIONS
from aigc.reproduction.origin import machine_of
from aigc.tracking import finished, killed, sender, store, views
from aigc.tracking.run import restored_run
from aigc.workspace import lockfile
from aigc.workspace.paths import LOCK

if TYPE_CHECKING:
    from mlflow import MlflowClient


@store.errors()
def run() -> int:
    """Print of each model of dvc.lock what was done. Exit code 1 where a model is not here, so that no run
    could be made.
    """
    lockfile.insist_on_a_whole_lock()
    client, experiment = store.open_store(writes=True)
    for line in sender.send_all():
        print(line)
    for left in killed.close_abandoned(client, experiment):
        print(
            f"run {left.info.run_id} ({left.data.tags.get('aigc.method', '?')}): was left RUNNING by "
            "a kill, is KILLED now"
        )
    lock = lockfile.read_lock(Path())
    if not lock:
        raise AigcError(f"{LOCK}: missing; run in the project's root, and `dvc repro` first")
    # DVC keeps in dvc.lock what dvc.yaml no longer has: the stages of a method that was taken out of
    # params.yaml.
    trained = [method for method in config.methods() if f"train@{method}" in lock]
    changed = _changed_outs()
    absent = []
    for method in tqdm(trained, desc="sync", unit="model", disable=None, file=sys.stderr):
        wrong = [out["path"] for out in lock[f"train@{method}"]["outs"] if out["path"] in changed]
        if wrong:
            absent.append(wrong[0])
            print(f"{method}: {', '.join(wrong)} is not here as dvc.lock has it")
        else:
            print(f"{method}: {_sync_model(method, lock, changed, client, experiment)}")
    if absent:
        raise StorageError(
            f"{absent[0]}: not what dvc.lock names; `dvc checkout` or `dvc repro`, then `aigc sync` again"
        )
    return 0


def _sync_model(
    method: str, lock: Mapping[str, Any], changed: set[str], client: "MlflowClient", experiment: str
) -> str:
    """Make the run of one model, or complete it, when the store has none; says what was done."""
    card, params = read_card(paths.model(method)), lock[f"train@{method}"]["params"]
    content, evaluated = _evaluation(method, card, lock, changed)
    metrics, tags = flat(content), views.verdict_tags(content)
    if content:
        tensors, _ = files.read_tensors(paths.model(method) / WEIGHTS)
        metrics["parameters"] = float(parameter_count(tensors))
    missing = "" if content else f"; it has no evaluation (`dvc repro evaluate@{method}` makes one)"
    with process.only_writer(paths.training_lock(method, killed.RESTORED)):
        run = next(iter(finished.of_weights(client, experiment, card.weights_sha256, card.sha256)), None)
        if run is None:
            done = (
                f"run {_restore(method, params, card)} made, marked as "
                f"restored{_otherwise_now(params)}{missing}"
            )
        elif metrics.items() <= run.data.metrics.items() and tags.items() <= run.data.tags.items():
            return (
                f"run {run.info.run_id} is complete already"
                if content
                else f"run {run.info.run_id} is there{missing}"
            )
        else:
            done = f"run {run.info.run_id} lacked this evaluation, and has it now"
        finished.add_metrics(
            client,
            experiment,
            card.weights_sha256,
            card.sha256,
            metrics,
            evaluated,
            tags,
            store.milliseconds(),
        )
    return done


def _evaluation(
    method: str, card: Card, lock: Mapping[str, Any], changed: set[str]
) -> tuple[dict[str, Any], list[Path]]:
    """(content of the metrics file, files to log) of the evaluation of this very model; nothing where that
    was of another one.
    """
    found = [
        path
        for stage, path in (("evaluate", paths.metrics(method)), ("generate", paths.grid(method)))
        if path.exists() and str(path) not in changed and is_of_model(f"{stage}@{method}", method, lock)
    ]
    if paths.metrics(method) not in found:
        return {}, found
    content = files.read_json(paths.metrics(method))
    return (
        (content, found)
        if model_identity.is_of(content, card)
        else ({}, [path for path in found if path != paths.metrics(method)])
    )


def is_of_model(stage: str, method: str, lock: Mapping[str, Any]) -> bool:
    """Whether `stage` was last run on the model and the samples that dvc.lock has of `method`."""
    if stage not in lock:
        return False
    made = {
        out["path"]: out["md5"]
        for name in (f"train@{method}", f"generate@{method}")
        if name in lock
        for out in lock[name]["outs"]
    }
    return all(made.get(dep["path"], dep["md5"]) == dep["md5"] for dep in lock[stage]["deps"])


def _restore(method: str, params: dict[str, Any], card: Card) -> str:
    """A run with params from dvc.lock (typed as `train` sends them), curves from history.csv and the model;
    its id.
    """
    content = config.nested(params[str(paths.PARAMS)])
    shared = {
        name: config.section(name, SECTIONS[name], content).model_dump(include={*content[name]})
        for name in content
        if name != method
    }
    settings = methods.load_config(method, content)
    flat_params = {
        **config.flatten(settings.model_dump()),
        **config.flatten(shared),
        **({"init_from": settings.init_from} if settings.init_from else {}),
    }
    with restored_run(
        method, flat_params, paths.PROCESSED / "train", card.data_sha256, machine_of(Path())
    ) as restored:
        restored.rows({"rows": _history(paths.history(method)), "stamp": store.milliseconds()})
        restored.model(model_identity.identity(card), {"model": paths.model(method)})
    return restored.run_id


def _otherwise_now(params: dict[str, Any]) -> str:
    """A remark where params.yaml, whose file a run keeps, is not what the model was trained with; "" where it
    is.
    """
    now = config.flatten(config.read())
    others = [
        key for key, value in config.flatten(params[str(paths.PARAMS)]).items() if now.get(key) != value
    ]
    if not others:
        return ""
    return (
        f"; its params are dvc.lock's, but the {paths.PARAMS} that it keeps is today's, with "
        f"another {', '.join(others)}"
    )


def _history(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as stream:
        return [{name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(stream)]


def _changed_outs() -> set[str]:
    """The outs of dvc.lock that are missing or other in the workspace, as DVC itself says."""
    done = subprocess.run([sys.executable, "-m", "dvc", "status", "--json"], capture_output=True, check=False)
    try:
        stages = json.loads(done.stdout)
    except ValueError:
        raise AigcError(f"`dvc status` cannot tell what is here ({process.reason(done.stderr)})") from None
    return {path for changes in stages.values() for change in changes if isinstance(change, dict)
            for path in change.get("changed outs", {})}
