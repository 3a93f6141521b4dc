"""What is known of a trained model beyond its files: its numbers, its audit, what its training took."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc.core import files, paths
from aigc.core.errors import GateError
from aigc.evaluation import model_identity
from aigc.model.card import Card

SECONDS, ENERGY = "training_seconds", "training_energy_wh"  # metrics of a run of MLflow's


@dataclass(frozen=True)
class Facts:
    """metrics: as reports/metrics/METHOD.json, {} where the model was not evaluated. costs: of the training,
    as a run of MLflow's says them; what is not recorded is absent.
    """

    metrics: Mapping[str, Any]
    costs: Mapping[str, float]

    @property
    def passes(self) -> bool | None:
        """Whether the model passed its memorization audit; None where there was none."""
        verdict = self.metrics.get("memorization", {}).get("passes")
        return None if verdict is None else bool(verdict)


def of_model(card: Card) -> Facts:
    """Of this project's reports where they are of this model, else of MLflow's newest run of it."""
    from aigc.tracking import evaluations

    run = evaluations.newest(card.weights_sha256, card.sha256)
    path = paths.metrics(card.method)
    metrics = _content(path) if path.exists() else {}
    if not model_identity.is_of(metrics, card):
        metrics = json.loads(run.content) if run.content else {}
    return Facts(metrics if model_identity.is_of(metrics, card) else {}, run.metrics)


def _content(path: Path) -> dict[str, Any]:
    content = files.read_json(path)
    return content if isinstance(content, dict) else {}


def check_publishable(card: Card, facts: Facts) -> None:
    """Raises GateError for a model that failed its audit or had none, or whose pictures have no licence."""
    if facts.passes is None:
        raise GateError(f"{card.method}: no memorization audit of this model is on record; `dvc repro "
                        f"evaluate@{card.method}` makes one; not published")
    if not facts.passes:
        raise GateError(f"{card.method}: failed its memorization audit: it repeats training pictures; train "
                        "it on more pictures, or for a shorter time; not published")
    if not card.origin.get("licence"):
        raise GateError(f"{card.method}: its training pictures state no licence; set `data.licence` in "
                        f"{paths.PARAMS} and run `dvc repro`: its card then states it; not published")
