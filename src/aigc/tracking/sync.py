"""aigc sync: MLflow's store tells what dvc.lock holds, whether its stages ran here or came from DVC's run cache."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from aigc import methods
from aigc.core import config, files, paths, process
from aigc.core.errors import AigcError, StorageError
from aigc.metrics.intervals import flat
from aigc.model.card import WEIGHTS, Card, parameter_count, read_card
from aigc.params import SECTIONS
from aigc.reproduction.origin import machine_of
from aigc.tracking import finished, store, views, writer
from aigc.tracking.run import restored_run
from aigc.workspace import lockfile
from aigc.workspace.paths import LOCK

if TYPE_CHECKING:
    from mlflow import MlflowClient

TRAIN = "train@"


def run() -> int:
    """Say of each model of dvc.lock what became of it. Exit code 1 where a model could not be told of, since it is not here."""
    lockfile.insist_on_a_whole_lock()
    client, experiment = store.open_store()
    for left in writer.close_abandoned(client, experiment):
        print(f"run {left.info.run_id} ({left.data.tags.get('aigc.method', '?')}): was left RUNNING by a kill, is KILLED now")
    lock = lockfile.read_lock(Path())
    if not lock:
        raise AigcError(f"{LOCK}: missing; run in the project's root, and `dvc repro` first")
    # DVC keeps in dvc.lock what dvc.yaml no longer has: the stages of a method that was taken out of params.yaml.
    stages = {method: lock[f"{TRAIN}{method}"] for method in config.methods() if f"{TRAIN}{method}" in lock}
    changed = _changed_outs()
    absent = []
    for method, stage in tqdm(stages.items(), desc="sync", unit="model", disable=None, file=sys.stderr):
        wrong = [out["path"] for out in stage["outs"] if out["path"] in changed]
        if wrong:
            absent.append(wrong[0])
            print(f"{method}: {', '.join(wrong)} is not here as dvc.lock has it")
        else:
            print(f"{method}: {_tell(method, stage['params'], changed, client, experiment)}")
    if absent:
        raise StorageError(f"{absent[0]}: not what dvc.lock names; `dvc checkout` or `dvc repro`, then `aigc sync` again")
    return 0


def _tell(method: str, params: dict[str, Any], changed: set[str], client: "MlflowClient", experiment: str) -> str:
    """Make the run of one model, or complete it, when the store has none; says what was done."""
    card = read_card(paths.model(method))
    evaluated = [path for path in (paths.metrics(method), paths.grid(method)) if path.exists() and str(path) not in changed]
    content = files.read_json(paths.metrics(method)) if paths.metrics(method) in evaluated else {}
    numbers, tags = flat(content), views.verdict_tags(content)
    if content:
        tensors, _ = files.read_tensors(paths.model(method) / WEIGHTS)
        numbers["parameters"] = float(parameter_count(tensors))
    with process.only_writer(paths.training_lock(method, writer.RESTORED)):
        found = next(iter(finished.of_weights(client, experiment, card.weights_sha256)), None)
        if found is None:
            told = f"run {_restore(method, params, card)} made, marked as restored{_otherwise_now(params)}"
        elif numbers.items() <= found.data.metrics.items() and tags.items() <= found.data.tags.items():
            return f"run {found.info.run_id} tells of it already"
        else:
            told = f"run {found.info.run_id} lacked this evaluation, and has it now"
        finished.add_metrics(card.weights_sha256, numbers, evaluated, tags)
    return told


def _restore(method: str, params: dict[str, Any], card: Card) -> str:
    """A run with params from dvc.lock (typed as `train` sends them), curves from history.csv and the model; its id."""
    content = params[str(paths.PARAMS)]
    shared = {name: config.section(name, SECTIONS[name], content).model_dump() for name in content if name != method}
    told = {**config.flatten(methods.load_config(method, content).model_dump()), **config.flatten(shared)}
    with restored_run(method, told, paths.PROCESSED / "train", card.data_sha256, machine_of(Path())) as restored:
        restored.log_rows(_history(paths.history(method)))
        restored.log_model(paths.model(method), card.weights_sha256)
    return restored.run_id


def _otherwise_now(params: dict[str, Any]) -> str:
    """What to say where params.yaml, whose file a run keeps, is not what the model was trained with; "" where it is."""
    now = config.flatten(config.read())
    others = [key for key, value in config.flatten(params[str(paths.PARAMS)]).items() if now.get(key) != value]
    return f"; its params are dvc.lock's, but the {paths.PARAMS} that it keeps is today's, with another {', '.join(others)}" if others else ""


def _history(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as stream:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]


def _changed_outs() -> set[str]:
    """The outs of dvc.lock that are missing or other in the workspace, as DVC itself says."""
    done = subprocess.run([sys.executable, "-m", "dvc", "status", "--json"], capture_output=True, text=True, check=False)
    try:
        stages = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:]
        raise AigcError(f"`dvc status` cannot tell what is here ({''.join(last) or 'no message'}); run in the project's root") from None
    return {path for changes in stages.values() for change in changes if isinstance(change, dict)
            for path in change.get("changed outs", {})}
