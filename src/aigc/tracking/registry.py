"""MLflow's model registry: the model to use. One that fails its memorization audit never is."""

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from aigc.core.errors import AigcError, GateError
from aigc.tracking import finished, models, store, views

UNFINISHED = ("RUNNING", "KILLED", "FAILED")


@store.errors()
def promote(method: str, weights_sha256: str, name: str, alias: str,
            card_sha256: str = "") -> tuple[str, str]:
    """Point models:/NAME@ALIAS at the model with these weights, registered once whatever number of runs made
    them.

    Returns its version and the id of its run. Raises AigcError where the store has no finished run of it or
    refuses the
    name, GateError where its run has not passed the audit of these weights.
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
    tags = run.data.tags
    if views.AUDIT not in tags or tags.get(views.EVALUATED) != weights_sha256:
        raise GateError(
            f"run {run.info.run_id}: no memorization audit of these weights is logged; `dvc repro "
            f"evaluate@{method}`, then `aigc sync`; not promoted"
        )
    if tags[views.AUDIT] != views.PASSED:
        raise GateError(f"run {run.info.run_id}: its memorization audit is {tags[views.AUDIT]}; not promoted")
    try:
        version = _version(client, [one.info.run_id for one in found], name)
        if version is None:
            version = mlflow.register_model(f"models:/{models.model_of(client, run.info.run_id)}", name)
        client.set_registered_model_alias(name, alias, version.version)
    except MlflowException as error:
        raise AigcError(
            f"models:/{name}@{alias}: refused by the MLflow store ({store.shown(error)})"
        ) from store.cause(error)
    return str(version.version), str(version.run_id)


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
