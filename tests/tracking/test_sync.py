"""MLflow's store after DVC restored models: seen through MLflow alone."""

import shutil
from pathlib import Path

import pytest
from mlflow.entities import Run

from aigc import cli
from aigc.core.errors import AigcError, StorageError
from aigc.metrics.intervals import flat
from aigc.stages import evaluate, report
from aigc.tracking import store, sync
from aigc.training.observer import Observer
from projects import ROOT, run_in
from small import committed_params, small_model
from stores import CODE, client_of, runs_of

VARIES = ("watch_fid", "images_per_second", "sampling_images_per_second", "training_seconds", "system/")


def curves(project: Path, run: Run) -> dict[str, list[tuple[int, float]]]:
    client = client_of(project)
    return {
        name: sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))
        for name in run.data.metrics
        if not name.startswith(VARIES)
    }


def test_a_new_model_does_not_get_the_numbers_of_the_old_one(
        project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    params = (project / "params.yaml").read_text()
    gan = params.index("\ngan:")
    (project / "params.yaml").write_text(
        params[:gan] + params[gan:].replace("  images: 3000", "  images: 2000", 1)
    )
    run_in(project, "dvc", "repro", "train@gan")
    monkeypatch.chdir(project)
    assert cli.main(["sync"]) == 0
    assert "it has no evaluation (`dvc repro evaluate@gan` makes one)" in capsys.readouterr().out
    run = runs_of(project)["gan"]
    assert "fid" not in run.data.metrics and "aigc.memorization" not in run.data.tags
    assert client_of(project).list_artifacts(run.info.run_id, "evaluation") == []
    assert cli.main(["promote", "gan"]) == 1
    of_another = "of another model than models/gan; run `dvc repro {}@gan`"
    assert capsys.readouterr().err.splitlines()[-1].endswith(of_another.format("evaluate"))
    with pytest.raises(AigcError) as refused:
        report.run()
    assert str(refused.value).endswith(of_another.format("evaluate"))
    with pytest.raises(AigcError) as refused:
        evaluate.run("gan", Observer())
    assert str(refused.value).endswith(of_another.format("generate"))

    run_in(project, "dvc", "repro", "evaluate@gan")
    assert cli.main(["promote", "gan"]) == 0
    assert client_of(project).get_model_version_by_alias("aigc", "champion").run_id == run.info.run_id


def test_metrics_are_sent_flat_as_evaluate_sends_them() -> None:
    assert flat({"fid": {"value": 9, "low": 8.5}, "protocol": {"n": 3}, "words": "x"}) == {
        "fid": 9.0,
        "fid_low": 8.5,
    }


def test_a_method_that_params_yaml_no_longer_names_is_none_of_syncs_though_dvc_lock_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\nno_scm = true\n")
    (tmp_path / "params.yaml").write_text("methods: [gan]\n")
    stage = (
        "{cmd: x, params: {params.yaml: {}}, outs: [{path: models/cgan, hash: md5, md5: 0.dir, "
        "size: 1, nfiles: 1}]}"
    )
    (tmp_path / "dvc.lock").write_text(f"schema: '2.0'\nstages: {{train@cgan: {stage}}}\n")
    assert sync.run() == 0
    assert "cgan" not in capsys.readouterr().out
    for content in (
        (tmp_path / "dvc.lock").read_text()[:-9],
        "<<<<<<< ours\nstages: {}\n",
        "schema: '2.0'\n",
    ):
        (tmp_path / "dvc.lock").write_text(content)
        with pytest.raises(StorageError, match=r"dvc\.lock: (was cut|not what DVC writes)"):
            sync.run()


@pytest.mark.parametrize("seed", [0, 7])
def test_a_run_of_a_restored_model_has_the_locks_params_and_what_params_yaml_says_otherwise_now_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for name in ("requirements.lock", "dvc.lock"):
        (tmp_path / name).touch()
    small_model(tmp_path / "models", "gan")
    (tmp_path / "reports/plots/gan").mkdir(parents=True)
    (tmp_path / "reports/plots/gan/history.csv").write_text("step,images\n1,64\n")
    content = committed_params()
    params = {
        "params.yaml": {
            "gan": content["gan"],
            **{f"train.{key}": value for key, value in content["train"].items() if key != "watch"},
            "train.seed": seed,
            "runtime": content["runtime"],
        }
    }
    client, experiment = store.open_store()
    done = sync._sync_model("gan", {"train@gan": {"params": params, "outs": []}}, set(), client, experiment)
    assert ("is today's, with another train.seed;" if seed else "made, marked as restored;") in done
    assert done.endswith("; it has no evaluation (`dvc repro evaluate@gan` makes one)")
    assert runs_of(tmp_path)["gan"].data.params["train.seed"] == str(seed)


@pytest.mark.slow
def test_models_that_dvc_restored_get_a_run_each_that_tells_what_training_told_and_only_once(
    project: Path, finished: Path
) -> None:
    before = runs_of(finished)
    done = run_in(project, "python", "-m", "aigc", "sync", **CODE)
    assert done.stdout.count("made, marked as restored") == len(before)
    restored = runs_of(project)
    assert set(restored) == set(before)
    for method, run in restored.items():
        assert run.info.status == "FINISHED" and run.data.tags["aigc.restored"] == "true"
        assert run.data.params == before[method].data.params
        assert curves(project, run) == curves(finished, before[method])
        assert run.data.tags["aigc.weights_sha256"] == before[method].data.tags["aigc.weights_sha256"]
        assert (
            run.inputs.dataset_inputs[0].dataset.digest
            == before[method].inputs.dataset_inputs[0].dataset.digest
        )
        assert {item.path for item in client_of(project).list_artifacts(run.info.run_id, "evaluation")} == {
            "evaluation/samples.png",
            f"evaluation/{method}.json",
        }
    again = run_in(project, "python", "-m", "aigc", "sync", **CODE)
    assert again.stdout.count("is complete already") == len(before)
    assert {run.info.run_id for run in runs_of(project).values()} == {
        run.info.run_id for run in restored.values()
    }

    # A picture finds its model there, when models/ holds it no more.
    run_in(project, "python", "-m", "aigc", "generate", "gan", "--n", 1, "--out", "out", **CODE)
    shutil.rmtree(project / "models/gan")
    told = run_in(project, "python", "-m", "aigc", "whence", "out/gan-seed0-000000.png", **CODE).stdout
    assert ": identical" in told and f"MLflow run {restored['gan'].info.run_id}" in told

    absent = run_in(project, "python", "-m", "aigc", "sync", check=False, **CODE)
    assert absent.returncode == 1
    assert absent.stderr.splitlines()[-1] == (
        "error: models/gan: not what dvc.lock names; `dvc checkout` or `dvc repro`, then `aigc sync` again"
    )
