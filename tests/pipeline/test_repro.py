"""The DAG as its user meets it: dvc's own commands on a real, small run."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from ruamel.yaml import YAML

from aigc.core.errors import AigcError
from aigc.stages import evaluate, evaluator, generate, reference, report, validate
from aigc.training.observer import Observer
from projects import ROOT, run_in


def stale(project: Path) -> set[str]:
    """The stages that `dvc status` says have changed deps of their own."""
    return set(json.loads(run_in(project, "dvc", "status", "--json").stdout))


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def refusal(monkeypatch: pytest.MonkeyPatch, project: Path, stage: Callable[..., None],
            *arguments: object) -> str:
    """The message with which a stage stops, run in this process: starting one takes seconds."""
    monkeypatch.chdir(project)
    with pytest.raises(AigcError) as refused:
        stage(*arguments)
    assert refused.value.exit_code == 1
    return str(refused.value)


def test_a_second_repro_has_nothing_to_do(finished: Path) -> None:
    assert "up to date" in run_in(finished, "dvc", "repro").stdout


def test_the_committed_results_leave_a_clean_tree(finished: Path) -> None:
    untracked = run_in(finished, "git", "status", "--porcelain").stdout
    assert not [line for line in untracked.splitlines() if ".trace" not in line]


def test_metrics_show_every_method_with_its_floor(finished: Path) -> None:
    shown = json.loads(run_in(finished, "dvc", "metrics", "show", "--json").stdout)[""]["data"]
    for method in ("vae", "gan"):
        fid = shown[f"reports/metrics/{method}.json"]["data"]["fid"]
        assert fid["low"] <= fid["value"] <= fid["high"]
        assert fid["floor"] > 0


def test_plots_show_writes_curves_grids_and_confusion(finished: Path, tmp_path: Path) -> None:
    run_in(finished, "dvc", "plots", "show", "--out", tmp_path / "plots")
    page = (tmp_path / "plots" / "index.html").read_text()
    assert "loss/critic" in page
    assert "confusion" in page
    assert list((tmp_path / "plots" / "static").glob("*samples.png"))


def test_the_name_of_every_plot_is_one_that_dvcs_page_can_draw() -> None:
    """It writes names into selectors and scripts unchanged, but for spaces and slashes."""
    plots = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["plots"]
    names = [name for entry in plots for name in ([entry] if isinstance(entry, str) else entry)]
    assert names and all(re.fullmatch(r"[\w ./-]+", name) for name in names)


def test_a_comment_in_params_reruns_nothing(project: Path) -> None:
    edit(project / "params.yaml", "methods:", "# a remark\nmethods:")
    assert "up to date" in run_in(project, "dvc", "repro").stdout


def test_a_change_to_one_method_retrains_that_method_alone(project: Path) -> None:
    with (project / "src/aigc/methods/gan.py").open("a") as page:
        page.write("\n# a remark\n")
    assert {stage for stage in stale(project) if stage.startswith("train")} == {"train@gan"}


def test_a_change_to_the_reports_template_reruns_the_report_alone(project: Path) -> None:
    edit(project / "src/aigc/reporting/page.html", "<main>", "<main >")
    assert stale(project) == {"report"}


def test_an_evaluation_through_another_extractor_than_the_floors_is_refused_and_leaves_the_metrics(
        project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, metrics = project / "reports/metrics/reference.json", project / "reports/metrics/vae.json"
    found, before = json.loads(reference.read_text()), metrics.read_bytes()
    found["protocol"]["extractor_sha256"] = "0" * 64
    reference.write_text(json.dumps(found))
    said = refusal(monkeypatch, project, evaluate.run, "vae", Observer())
    assert "reports/metrics/reference.json: made with the extractor 0000000000000000" in said
    assert "numbers of different extractors are not comparable" in said
    assert metrics.read_bytes() == before


def test_a_damaged_source_stops_at_ingest_and_every_other_out_stays(project: Path) -> None:
    edit(project / "params.yaml", "  source: digits ", "  source: folder ")
    for name in ("a", "b"):
        (project / "data/source" / name).mkdir()
        (project / "data/source" / name / "1.png").write_bytes(b"no picture")
    outs = [
        path
        for folder in ("data/processed", "data/generated", "models", "reports")
        for path in (project / folder).rglob("*")
        if path.is_file() and path != project / "reports/validation/params.json"
    ]
    before = {path: path.read_bytes() for path in outs}
    done = run_in(project, "dvc", "repro", check=False)
    assert done.returncode != 0
    assert (
        "error: ingest: data/source: none of 2 pictures can be used, the first a/1.png: no PNG" in done.stderr
    )
    assert {path: path.read_bytes() for path in before} == before


def test_a_method_that_fails_the_memorization_audit_is_told_so_in_red(
        project: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = project / "reports/metrics/vae.json"
    found = json.loads(metrics.read_text())
    found["memorization"]["passes"] = False
    metrics.write_text(json.dumps(found))
    monkeypatch.chdir(project)
    report.run()
    page = browser.new_page()
    page.goto((project / "reports/report.html").as_uri())
    said = page.get_by_text("vae: FAILS the memorization audit and cannot be promoted.")
    red, green, blue = page.evaluate(
        "element => getComputedStyle(element).color.match(/\\d+/g).map(Number)", said.element_handle()
    )
    assert red > 2 * max(green, blue)
    page.close()


def test_a_misspelt_key_stops_the_pipeline_at_its_first_stage_in_one_line(project: Path) -> None:
    edit(project / "params.yaml", "  min_ink:", "  min_inc:")
    done = run_in(project, "dvc", "repro", check=False)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: check: params.yaml:")]
    assert len(lines) == 1
    assert "unknown key `validate.min_inc`; did you mean `min_ink`?" in lines[0]
    assert "Running stage 'ingest'" not in done.stdout


def test_a_violated_expectation_stops_the_pipeline_and_says_which_rows(project: Path) -> None:
    edit(project / "params.yaml", "min_ink: 0.005", "min_ink: 0.06")
    done = run_in(project, "dvc", "repro", check=False)
    assert done.returncode != 0
    assert "expect_column_values_to_be_between(ink_fraction" in done.stderr
    assert "index=" in done.stderr
    assert "data_docs/index.html" in done.stderr
    assert (project / "reports/validation/data_docs/index.html").exists()
    assert "Running stage 'preprocess'" not in done.stdout


def test_arrays_that_no_longer_agree_with_the_manifest_are_caught(
        project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    raw = project / "data/raw"
    copy = project / "copy"
    shutil.copytree(raw, copy)
    shutil.rmtree(raw)
    copy.rename(raw)
    (raw / "images.npy").chmod(0o644)
    images = np.load(raw / "images.npy")
    images[7, 0, 14, 14] ^= 1
    np.save(raw / "images.npy", images)
    refusal(monkeypatch, project, validate.run)
    said = capsys.readouterr().err
    assert "agrees_with_arrays" in said and "index=7" in said


def test_a_missing_dep_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(project / "models/vae")
    assert "models/vae/config.json: missing" in refusal(monkeypatch, project, generate.run, "vae")


def test_a_test_split_smaller_than_the_metric_needs_is_named(
        project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(project / "params.yaml", "sample_size: 300", "sample_size: 1001")
    said = refusal(monkeypatch, project, reference.run)
    assert "1000 pictures are fewer than evaluate.sample_size (1001)" in said


def test_an_inaccurate_evaluator_stops_the_pipeline(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(project / "params.yaml", "min_accuracy: 0.5", "min_accuracy: 1.0")
    edit(project / "params.yaml", "images: 4000 ", "images: 640 ")
    assert "below evaluator.min_accuracy" in refusal(monkeypatch, project, evaluator.run)


def test_code_from_outside_the_hashed_tree_is_refused(project: Path, finished: Path) -> None:
    done = run_in(
        project,
        "python",
        "-m",
        "aigc.stages",
        "check",
        check=False,
        PYTHONPATH=str(finished / "src"),
        DVC_ROOT=str(project),
    )
    assert done.returncode == 1
    assert "DVC hashed the code under" in done.stderr


@pytest.mark.slow
def test_an_experiment_is_run_and_shown(project: Path) -> None:
    run_in(project, "dvc", "exp", "run", "-S", "validate.min_rows=999", "-n", "fewer-rows", "validate")
    shown = run_in(project, "dvc", "exp", "show", "--csv").stdout
    assert "fewer-rows" in shown
    assert "vae.json:fid.value" in shown
