"""MLflow's model registry: which trained model is the one to use. A model that fails its memorization audit never is."""

import mlflow
from mlflow.exceptions import MlflowException

from aigc.core.errors import AigcError, GateError
from aigc.tracking import finished, models, store, views


def promote(weights_sha256: str, name: str, alias: str) -> tuple[str, str]:
    """Point models:/NAME@ALIAS at the model with these weights, registered once whatever number of runs made them: (its version, the
    id of its run).

    Raises AigcError where the store has no run of it or refuses the name, GateError where its run has not passed the audit.
    """
    client, experiment = store.open_store()
    found = finished.of_weights(client, experiment, weights_sha256)
    if not found:
        raise AigcError("the MLflow store has no finished run of these weights; `aigc sync` makes one")
    run = found[0]
    verdict = run.data.tags.get(views.AUDIT, "missing: `dvc repro` evaluates it")
    if verdict != views.PASSED:
        raise GateError(f"run {run.info.run_id}: its memorization audit is {verdict}; not promoted")
    try:
        known = [version for one in found for version in client.search_model_versions(f"run_id = '{one.info.run_id}'") if version.name == name]
        version = known[0] if known else mlflow.register_model(f"models:/{models.model_of(client, run.info.run_id)}", name)
        client.set_registered_model_alias(name, alias, version.version)
    except MlflowException as error:
        raise AigcError(f"models:/{name}@{alias}: refused by the MLflow store ({str(error).splitlines()[0]})") from error
    return str(version.version), str(version.run_id)
