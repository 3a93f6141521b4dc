"""MLflow's model registry: the model to use, the champion.

A model that failed its memorization audit never is. Another one replaces the champion if its FID is better
and the intervals do not overlap, or if somebody gives a reason. Each version's tags say what was decided.
"""

from typing import NamedTuple

import mlflow
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from aigc.core.errors import AigcError, GateError
from aigc.tracking import finished, models, store, views

UNFINISHED = ("RUNNING", "KILLED", "FAILED")
PREVIOUS, DECISION, REASON = "aigc.previous", "aigc.decision", "aigc.reason"  # tags of a version


class Promoted(NamedTuple):
    """The version that an alias names now, the run that made it, and why it was chosen."""

    version: str
    run_id: str
    decision: str


@store.errors()
def promote(method: str, weights_sha256: str, name: str, alias: str, card_sha256: str = "",
            reason: str = "") -> Promoted:
    """Point models:/NAME@ALIAS at the model with these weights, registered once whatever number of runs made
    them.

    reason: promotes a model that is not measurably better. Raises AigcError where the store has no finished
    run of it or refuses the name, GateError where its run has not passed the audit of these weights, and
    where it is not better than the champion.
    """
    client, experiment = store.open_store(writes=True)
    found = finished.of_weights(client, experiment, weights_sha256, card_sha256)
    if not found:
        others = [
            run
            for status in UNFINISHED
            for run in finished.of_weights(client, experiment, weights_sha256, card_sha256, status)
        ]
        what = f"; run {others[0].info.run_id} has them, and is {others[0].info.status}" if others else ""
        raise AigcError(
            f"the MLflow store has no finished run of the weights of models/{method}{what}; `aigc "
            "sync` makes one"
        )
    run = found[0]
    _check_audit(run, method, weights_sha256)
    try:
        champion = _at(client, name, alias)
        version = _version(client, [one.info.run_id for one in found], name)
        if champion and version and champion.version == version.version:
            return Promoted(str(version.version), str(version.run_id), "it was the champion before")
        decision, is_better = _against(client, champion, run)
        if not is_better and not reason:
            raise GateError(f"{decision}; not promoted; `--force REASON` promotes it and keeps the reason")
        if version is None:
            version = mlflow.register_model(f"models:/{models.model_of(client, run.info.run_id)}", name)
        tags = {DECISION: decision, REASON: reason, PREVIOUS: str(champion.version) if champion else ""}
        for tag, value in tags.items():
            client.set_model_version_tag(name, version.version, tag, value)
        client.set_registered_model_alias(name, alias, version.version)
    except MlflowException as error:
        raise _refused(name, alias, error) from store.cause(error)
    return Promoted(str(version.version), str(version.run_id), decision)


@store.errors()
def rollback(name: str, alias: str) -> Promoted:
    """Point models:/NAME@ALIAS at the version that it named before.

    Raises AigcError where there is no such alias, or nothing before it.
    """
    client, _ = store.open_store(writes=True)
    try:
        champion = _at(client, name, alias)
        if champion is None:
            raise AigcError(f"models:/{name}@{alias}: the MLflow store has none; `aigc promote` makes it")
        previous = champion.tags.get(PREVIOUS, "")
        if not previous:
            raise AigcError(f"models:/{name}@{alias}: version {champion.version} is the first that it named; "
                            "nothing to go back to")
        version = client.get_model_version(name, previous)
        client.set_registered_model_alias(name, alias, previous)
    except MlflowException as error:
        raise _refused(name, alias, error) from store.cause(error)
    return Promoted(previous, str(version.run_id), f"before it was version {champion.version}")


def _check_audit(run: Run, method: str, weights_sha256: str) -> None:
    tags = run.data.tags
    if views.AUDIT not in tags or tags.get(views.EVALUATED) != weights_sha256:
        raise GateError(
            f"run {run.info.run_id}: no memorization audit of these weights is logged; `dvc repro "
            f"evaluate@{method}`, then `aigc sync`; not promoted"
        )
    if tags[views.AUDIT] != views.PASSED:
        raise GateError(f"run {run.info.run_id}: its memorization audit is {tags[views.AUDIT]}; not promoted")


def _against(client: mlflow.MlflowClient, champion: ModelVersion | None, run: Run) -> tuple[str, bool]:
    """The comparison in words, and whether `run` is better than the champion."""
    if champion is None:
        return "there was no champion", True
    other, title = client.get_run(str(champion.run_id)), f"version {champion.version}"
    if run.data.tags.get(views.PROTOCOL) != other.data.tags.get(views.PROTOCOL):
        return (f"its FID and that of {title} cannot be compared: another extractor, n or test set; "
                "`aigc evaluate` judges samples of both (docs/tutorial.md)"), False
    ours, theirs = (_fid(one) for one in (run, other))
    if ours is None or theirs is None:
        return f"its FID and that of {title} cannot be compared: one of them has no interval", False
    text = f"its FID is {_shown(ours)}, that of {title} {_shown(theirs)}"
    if ours[2] < theirs[1]:
        return text, True
    return f"{text}: {'worse' if theirs[2] < ours[1] else 'the intervals overlap'}", False


def _fid(run: Run) -> tuple[float, float, float] | None:
    """(value, low, high)"""
    value, low, high = (run.data.metrics.get(key) for key in ("fid", "fid_low", "fid_high"))
    return None if value is None or low is None or high is None else (value, low, high)


def _shown(fid: tuple[float, float, float]) -> str:
    return "{:.3g} [{:.3g}, {:.3g}]".format(*fid)


def _at(client: mlflow.MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version that an alias names, if there is one."""
    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def _refused(name: str, alias: str, error: MlflowException) -> AigcError:
    return AigcError(f"models:/{name}@{alias}: refused by the MLflow store ({store.shown(error)})")


def _version(client: mlflow.MlflowClient, run_ids: list[str], name: str) -> ModelVersion | None:
    """The version under which one of these runs' models is registered, if there is one."""
    for run_id in run_ids:
        token = None
        while True:
            page = client.search_model_versions(f"run_id = '{run_id}'", page_token=token)
            for version in page:
                if version.name == name:
                    return version
            token = page.token
            if not token:
                break
    return None
