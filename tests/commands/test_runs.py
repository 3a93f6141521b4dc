"""All runs of the experiment on one page: seeds of one recipe together, protocols apart."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from aigc.commands import runs
from aigc.core.errors import DataError
from projects import run_in
from small import evaluated_run


def test_the_page_holds_every_protocol_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "aigc.tracking.finished.every",
        lambda: [
            evaluated_run("a", 0, 10),
            evaluated_run("a", 1, 12),
            evaluated_run("a", 0, 900, protocol="q"),
        ],
    )
    monkeypatch.setattr("aigc.tracking.growth.newest", lambda found: ([], []))  # no store has these runs
    assert runs.run(argparse.Namespace()) == 0
    text = (tmp_path / "reports/runs.html").read_text()
    assert (
        text.count("<h2>Protocol") == 2
        and "900" in text
        and "must not be compared" in text
        and "0, 1" in text
    )


@pytest.mark.parametrize(
    ("stages", "remedy"),
    [
        ("{}", "`dvc repro` makes some"),
        ("{evaluate@gan: {cmd: x}}", "`aigc sync` logs the models of dvc.lock"),
    ],
)
def test_a_store_without_an_evaluated_run_is_an_error_with_the_remedy_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stages: str, remedy: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text(f"schema: '2.0'\nstages: {stages}\n")
    with pytest.raises(DataError, match=f"no evaluated run; {remedy}"):
        runs.run(argparse.Namespace())


@pytest.mark.slow
def test_aigc_runs_draws_the_runs_of_a_finished_pipeline(project: Path, finished: Path) -> None:
    run_in(
        project,
        "python",
        "-m",
        "aigc",
        "runs",
        PYTHONPATH="src",
        MLFLOW_TRACKING_URI=f"sqlite:///{finished / 'mlflow.db'}",
    )
    text = (project / "reports/runs.html").read_text()
    assert "vae" in text and "gan" in text and "differs in" in text


def test_a_run_whose_training_time_is_unknown_is_in_the_table(monkeypatch: pytest.MonkeyPatch,
                                                              tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    run = replace(evaluated_run("a", 0, 10), metrics={"fid": 10.0, "fid_floor": 0.25})
    monkeypatch.setattr("aigc.tracking.finished.every", lambda: [run])
    monkeypatch.setattr("aigc.tracking.growth.newest", lambda found: ([], []))
    assert runs.run(argparse.Namespace()) == 0
    text = (tmp_path / "reports/runs.html").read_text()
    assert "<svg" not in text and ">vae</th>" in text
    assert '<th scope="row">floor: real against real</th><td>–</td>\n<td class="n">0.25</td>' in text
