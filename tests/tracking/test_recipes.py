"""All runs of the experiment on one page: seeds of one recipe together, protocols apart."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from aigc.commands import runs
from aigc.core.errors import DataError
from aigc.tracking.finished import Finished
from conftest import run_in


def run(recipe: str, seed: int, fid: float, started: int = 0, method: str = "vae", protocol: str = "p", **params: str) -> Finished:
    return Finished(f"{recipe}{seed}{started}", method, recipe, protocol, started, {"train.seed": str(seed), **params},
                    {"fid": fid, "training_seconds": 10.0, "images": 100.0})


def test_seeds_of_one_recipe_are_one_row_with_mean_and_students_interval() -> None:
    found, = runs.recipes([run("a", 0, 10), run("a", 2, 13), run("a", 10, 14.5)])
    assert found.seeds == "0, 2, 10"
    low, high = stats.t.interval(0.95, 2, np.mean([10, 13, 14.5]), stats.sem([10, 13, 14.5]))
    assert found.over_seeds("fid") == pytest.approx({"value": 12.5, "low": low, "high": high}, rel=1e-5)
    assert found.over_seeds("kid") == {}


def test_of_a_seed_that_was_trained_twice_the_newest_counts_and_a_single_seed_has_no_interval() -> None:
    found, = runs.recipes([run("a", 0, 10, started=5), run("a", 0, 30, started=2)])
    assert found.over_seeds("fid") == {"value": 10}


def test_recipes_are_ranked_and_say_in_what_they_differ_from_others_of_their_method() -> None:
    found = runs.recipes([run("a", 0, 20, beta="1"), run("b", 0, 10, beta="4"), run("c", 0, 15, method="gan", beta="9")])
    assert [recipe.method for recipe in found] == ["vae", "gan", "vae"]
    assert [recipe.differs for recipe in found] == [{"beta": "4"}, {}, {"beta": "1"}]


def test_the_page_holds_every_protocol_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aigc.tracking.finished.every", lambda: [run("a", 0, 10), run("a", 1, 12), run("a", 0, 900, protocol="q")])
    assert runs.write() == 0
    text = (tmp_path / "reports/runs.html").read_text()
    assert text.count("<h2>Protocol") == 2 and "900" in text and "must not be compared" in text and "0, 1" in text


def test_a_store_without_an_evaluated_run_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigc.tracking.finished.every", lambda: [run("a", 0, 10, protocol="")])
    with pytest.raises(DataError, match="no evaluated run; `dvc repro` makes some"):
        runs.write()


@pytest.mark.slow
def test_aigc_runs_draws_the_runs_of_a_finished_pipeline(project: Path, finished: Path) -> None:
    run_in(project, "python", "-m", "aigc", "runs", PYTHONPATH="src", MLFLOW_TRACKING_URI=f"sqlite:///{finished / 'mlflow.db'}")
    text = (project / "reports/runs.html").read_text()
    assert "vae" in text and "gan" in text and "differs in" in text
