"""What the store knows of an evaluated model: for its card, where this folder has no numbers of it."""

import json
from pathlib import Path

import pytest

from aigc.exporting import facts
from aigc.model.card import read_card
from aigc.tracking import evaluations, finished, store, views
from small import small_model, write_metrics


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    small_model(tmp_path / "models", "gan")
    return tmp_path


def log_run(status: str = "FINISHED", card_sha256: str = "", **metrics: float) -> None:
    """A run of the model in models/gan, with its METHOD.json where that is here."""
    card = read_card(Path("models/gan"))
    client, experiment = store.open_store()
    tags = {finished.WEIGHTS: card.weights_sha256, finished.CARD: card_sha256 or card.sha256,
            views.EVALUATED: card.weights_sha256, "aigc.method": "gan"}
    run = client.create_run(experiment, tags=tags).info.run_id
    for name, value in metrics.items():
        client.log_metric(run, name, value)
    if (path := Path("reports/metrics/gan.json")).exists():
        client.log_artifact(run, str(path), "evaluation")
    client.set_terminated(run, status)


def test_without_a_store_nothing_is_known_and_none_is_made(home: Path) -> None:
    assert evaluations.newest("a" * 64, "b" * 64) == evaluations.Evaluated()
    assert not (home / "mlflow.db").exists()


def test_numbers_and_costs_come_from_the_run_of_the_model(home: Path) -> None:
    write_metrics(home, "gan")
    log_run(training_seconds=61.5, training_energy_wh=0.4)
    log_run("KILLED", training_seconds=1.0)
    log_run(card_sha256="c" * 64, training_seconds=2.0)  # of the same weights, sampled otherwise
    content = json.loads((home / "reports/metrics/gan.json").read_text())
    (home / "reports/metrics/gan.json").unlink()
    found = facts.of_model(read_card(Path("models/gan")))
    assert found.metrics == content and found.passes is True
    assert (found.costs[facts.SECONDS], found.costs[facts.ENERGY]) == (61.5, 0.4)


def test_a_run_without_an_evaluation_has_costs_alone() -> None:
    log_run(training_seconds=61.5)
    found = facts.of_model(read_card(Path("models/gan")))
    assert found.metrics == {} and found.passes is None and found.costs[facts.SECONDS] == 61.5
