"""aigc sync: MLflow's store tells what dvc.lock holds, whether its stages ran here or came from DVC's run cache."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from aigc import model
from aigc.core import config, files, paths, process
from aigc.core.errors import AigcError, StorageError
from aigc.methods import contract
from aigc.metrics.intervals import flat
from aigc.tracking import runs, views

TRAIN = "train@"


def run() -> int:
    """Say of each model of dvc.lock what became of it. Exit code 1 where a model could not be told of, since it is not here."""
    client, experiment = runs.open_store()
    for left in runs.close_abandoned(client, experiment):
        print(f"run {left.info.run_id} ({left.data.tags.get('aigc.method', '?')}): was left RUNNING by a kill, is KILLED now")
    stages = {name.removeprefix(TRAIN): stage for name, stage in _lock().items() if name.startswith(TRAIN)}
    changed = _changed_outs()
    absent = []
    for method, stage in tqdm(stages.items(), desc="sync", unit="model", disable=None, file=sys.stderr):
        wrong = [out["path"] for out in stage["outs"] if out["path"] in changed]
        if wrong:
            absent.append(wrong[0])
            print(f"{method}: {', '.join(wrong)} is not here as dvc.lock has it")
        else:
            print(f"{method}: {_tell(method, stage['params'], changed)}")
    if absent:
        raise StorageError(f"{absent[0]}: not what dvc.lock names; `dvc checkout` or `dvc repro`, then `aigc sync` again")
    return 0


def _tell(method: str, params: dict[str, Any], changed: set[str]) -> str:
    """Make the run of one model, or complete it, when the store has none; says what was done."""
    card = model.read_card(paths.model(method))
    evaluated = [path for path in (paths.metrics(method), paths.grid(method)) if path.exists() and str(path) not in changed]
    content = files.read_json(paths.metrics(method)) if paths.metrics(method) in evaluated else {}
    numbers, tags = flat(content), views.verdict_tags(content)
    client, experiment = runs.open_store()
    with process.only_writer(runs.lock_of(method, runs.RESTORED)):
        found = runs.run_of(client, experiment, card.weights_sha256)
        if found is None:
            told = f"run {_restore(method, params, card)} made, marked as restored"
        elif numbers.items() <= found.data.metrics.items() and tags.items() <= found.data.tags.items():
            return f"run {found.info.run_id} tells of it already"
        else:
            told = f"run {found.info.run_id} lacked this evaluation, and has it now"
        runs.add_metrics(card.weights_sha256, numbers, evaluated, tags)
    return told


def _restore(method: str, params: dict[str, Any], card: model.Card) -> str:
    """A run with params from dvc.lock (typed as `train` sends them), curves from history.csv and the model; its id."""
    content = params[str(paths.PARAMS)]
    shared = {name: config.section(name, config.SECTIONS[name], content).model_dump() for name in content if name != method}
    told = {**config.flatten(contract.load_config(method, content).model_dump()), **config.flatten(shared)}
    with runs.restored_run(method, told, paths.PROCESSED / "train", card.data_sha256, _machine_of_the_lock()) as restored:
        restored.log_rows(_history(paths.history(method)))
        restored.log_model(paths.model(method), card.weights_sha256)
    return restored.run_id


def _machine_of_the_lock() -> dict[str, str]:
    """The machine that made dvc.lock, {} when lock_origin.json speaks of another lock."""
    origin = files.read_json(paths.LOCK_ORIGIN) if paths.LOCK_ORIGIN.exists() else {}
    return dict(origin["machine"]) if origin.get("lock_sha256") == files.sha256(paths.LOCK) else {}


def _history(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as stream:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]


def _lock() -> dict[str, Any]:
    from ruamel.yaml import YAML

    if not paths.LOCK.exists():
        raise AigcError(f"{paths.LOCK}: missing; run in the project's root, and `dvc repro` first")
    stages: dict[str, Any] = YAML(typ="safe", pure=True).load(paths.LOCK)["stages"]
    return stages


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
