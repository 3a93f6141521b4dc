"""The registry holds each model once, under any name that MLflow takes."""

import hashlib
import re
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


def finished_run(evaluated: str = WEIGHTS, weights: str = WEIGHTS, fid: tuple[float, ...] = (),
                 protocol: str = "p") -> str:
    """A finished run with a passed audit of the weights `evaluated`: its id. fid: value, low, high."""
    client, experiment = store.open_store()
    tags = {finished.WEIGHTS: weights, views.AUDIT: views.PASSED, views.EVALUATED: evaluated,
            views.PROTOCOL: protocol}
    run_id = str(client.create_run(experiment, tags=tags).info.run_id)
    for name, value in zip(("fid", "fid_low", "fid_high"), fid, strict=False):
        client.log_metric(run_id, name, value)
    made = client.create_logged_model(experiment, source_run_id=run_id)
    client.log_outputs(run_id, [LoggedModelOutput(made.model_id, 0)])
    client.finalize_logged_model(made.model_id, "READY")
    client.set_terminated(run_id)
    return run_id


def test_a_model_that_was_made_again_keeps_its_version_under_names_with_quotes_too() -> None:
    first = finished_run()
    assert registry.promote("gan", WEIGHTS, "a'b", "champion")[:2] == ("1", first)
    finished_run()
    assert registry.promote("gan", WEIGHTS, "a'b", "champion")[:2] == ("1", first)


def challenge(fid: tuple[float, ...] = (), protocol: str = "p", reason: str = "") -> registry.Promoted:
    """Promote a model of other weights with this FID. The champion's, if there is none yet, is 5 [4, 6]."""
    if not store.open_store()[0].search_registered_models():
        finished_run(fid=(5.0, 4.0, 6.0))
        registry.promote("gan", WEIGHTS, "aigc", "champion")
    weights = hashlib.sha256(repr((fid, protocol)).encode()).hexdigest()
    finished_run(weights, weights, fid, protocol)
    return registry.promote("vae", weights, "aigc", "champion", reason=reason)


def champion() -> tuple[str, str]:
    """The version that is the champion, and the reason given for it."""
    found = store.open_store()[0].get_model_version_by_alias("aigc", "champion")
    return str(found.version), found.tags.get(registry.REASON, "")


def test_a_model_that_is_not_measurably_better_needs_a_reason_and_a_rollback_undoes_it() -> None:
    of_first, no = "that of version 1", "and that of version 1 cannot be compared"
    for fid, protocol, why in [
        ((4.5, 3.5, 5.5), "p", f"its FID is 4.5 [3.5, 5.5], {of_first} 5 [4, 6]: the intervals overlap"),
        ((9.0, 8.0, 10.0), "p", f"its FID is 9 [8, 10], {of_first} 5 [4, 6]: worse"),
        ((1.0, 0.9, 1.1), "other", f"its FID {no}: another extractor, n or test set; `aigc evaluate` judges "
         "samples of both (docs/tutorial.md)"),
        ((1.0,), "p", f"its FID {no}: one of them has no interval"),
    ]:
        with pytest.raises(GateError, match=f"^{re.escape(why)}; not promoted; `--force REASON` promotes it"):
            challenge(fid, protocol)
        assert champion() == ("1", "")
        forced = challenge(fid, protocol, reason="looks better")
        assert forced.decision == why and champion() == (forced.version, "looks better")
        assert registry.rollback("aigc", "champion").version == "1"


def test_a_better_model_replaces_the_champion_and_a_rollback_brings_each_one_back() -> None:
    assert challenge((2.0, 1.5, 2.5)).decision == "its FID is 2 [1.5, 2.5], that of version 1 5 [4, 6]"
    assert challenge((1.0, 0.9, 1.1)).version == "3" == champion()[0]
    assert [registry.rollback("aigc", "champion").version for _ in range(2)] == ["2", "1"]
    with pytest.raises(AigcError, match="^models:/aigc@champion: version 1 is the first that it"):
        registry.rollback("aigc", "champion")
    with pytest.raises(AigcError, match="^models:/aigc@best: the MLflow store has none; `aigc promote`"):
        registry.rollback("aigc", "best")


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
