"""MLflow's model registry: which trained model is the one to use. A model that fails its memorization audit never is."""

from aigc.core.errors import AigcError, GateError
from aigc.tracking import finished, models, runs, views

import mlflow  # isort: skip  (runs sets MLflow's switches first)


def promote(weights_sha256: str, name: str, alias: str) -> tuple[str, str]:
    """Point models:/NAME@ALIAS at the model with these weights, registered once: (its version, the id of its run).

    Raises AigcError where the store has no run of it, GateError where its run has not passed the audit.
    """
    client, experiment = runs.open_store()
    run = next(iter(finished.of_weights(client, experiment, weights_sha256)), None)
    if run is None:
        raise AigcError("the MLflow store has no finished run of these weights; `aigc sync` makes one")
    verdict = run.data.tags.get(views.AUDIT, "missing: `dvc repro` evaluates it")
    if verdict != views.PASSED:
        raise GateError(f"run {run.info.run_id}: its memorization audit is {verdict}; not promoted")
    known = [version for version in client.search_model_versions(f"name = '{name}'") if version.run_id == run.info.run_id]
    version = known[0] if known else mlflow.register_model(f"models:/{models.model_of(client, run.info.run_id)}", name)
    client.set_registered_model_alias(name, alias, version.version)
    return str(version.version), str(run.info.run_id)
