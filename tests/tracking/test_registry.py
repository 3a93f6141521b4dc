"""The registry holds each model once, under any name that MLflow takes."""

import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import LoggedModelOutput

from aigc import cli
from aigc.core.errors import AigcError, GateError
from aigc.tracking import finished, registry, store, views

WEIGHTS = "a" * 64


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def finished_run(evaluated: str = WEIGHTS) -> str:
    """A finished run with a passed audit of the weights `evaluated`: its id."""
    client, experiment = store.open_store()
    tags = {finished.WEIGHTS: WEIGHTS, views.AUDIT: views.PASSED, views.EVALUATED: evaluated}
    run_id = str(client.create_run(experiment, tags=tags).info.run_id)
    made = client.create_logged_model(experiment, source_run_id=run_id)
    client.log_outputs(run_id, [LoggedModelOutput(made.model_id, 0)])
    client.finalize_logged_model(made.model_id, "READY")
    client.set_terminated(run_id)
    return run_id


def test_a_model_that_was_made_again_keeps_its_version_under_names_with_quotes_too() -> None:
    first = finished_run()
    assert registry.promote("gan", WEIGHTS, "a'b", "champion") == ("1", first)
    finished_run()
    assert registry.promote("gan", WEIGHTS, "a'b", "champion") == ("1", first)


def test_an_audit_of_other_weights_does_not_count() -> None:
    finished_run(evaluated="b" * 64)
    with pytest.raises(
        GateError,
        match=r"^run \w+: no memorization audit of these weights is logged; `dvc repro evaluate@gan`",
    ):
        registry.promote("gan", WEIGHTS, "aigc", "champion")


def test_weights_whose_run_did_not_finish_are_named_with_its_status() -> None:
    client, experiment = store.open_store()
    run_id = client.create_run(experiment, tags={finished.WEIGHTS: WEIGHTS}).info.run_id
    client.set_terminated(run_id, "FAILED")
    with pytest.raises(
        AigcError,
        match=f"no finished run of the weights of models/gan; run {run_id} has them, and is FAILED; "
        "`aigc sync`",
    ):
        registry.promote("gan", WEIGHTS, "aigc", "champion")


def test_what_mlflow_refuses_is_one_line() -> None:
    finished_run()
    with pytest.raises(AigcError, match=r"^models:/a/b@champion: refused by the MLflow store \([^\n]*\)$"):
        registry.promote("gan", WEIGHTS, "a/b", "champion")


def test_a_deleted_experiment_is_told_with_the_command_that_restores_it() -> None:
    client, experiment = store.open_store()
    client.delete_experiment(experiment)
    with pytest.raises(
        AigcError,
        match=f"`MLFLOW_TRACKING_URI=sqlite:.*mlflow.db mlflow experiments restore -x {experiment}` "
        "brings it back",
    ):
        store.open_store()


def test_a_model_is_promoted_and_one_that_failed_its_audit_is_not(
        finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"sqlite:///{shutil.copy(finished / 'mlflow.db', tmp_path)}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(finished)
    assert cli.main(["promote", "gan"]) == 0
    assert "models:/aigc@champion is version 1: gan of run" in capsys.readouterr().out
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("aigc")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.`aigc.method` = 'vae'")
    client.set_tag(run.info.run_id, "aigc.memorization", "failed")
    assert cli.main(["promote", "vae"]) == 1
    assert capsys.readouterr().err.strip().splitlines()[-1] == (
        f"error: run {run.info.run_id}: its memorization audit is failed; not promoted")
    assert client.get_model_version_by_alias("aigc", "champion").run_id != run.info.run_id
