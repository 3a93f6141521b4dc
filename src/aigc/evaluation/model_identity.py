"""Samples and metrics name their model by its hashes: files of one method may come from two models.

`generate` writes the hashes beside the samples, `evaluate` into reports/metrics/METHOD.json. Whoever shows a
model with its samples or metrics compares them here.
"""

from collections.abc import Mapping
from typing import Any

from aigc.core import files, paths
from aigc.core.errors import StorageError
from aigc.model.card import Card

MODEL = "model.json"  # beside the samples


def identity(card: Card) -> dict[str, str]:
    """What names a model whole: its weights, and its card, which says how it samples."""
    return {"weights_sha256": card.weights_sha256, "card_sha256": card.sha256}


def is_of(content: Mapping[str, Any], card: Card) -> bool:
    """Whether the content of a metrics file is of this model."""
    protocol = content.get("protocol", {})
    return {key: protocol.get(key) for key in identity(card)} == identity(card)


def read_metrics(method: str, card: Card) -> dict[str, Any]:
    """The metrics of this model. Raises StorageError where the file is missing, damaged or of another."""
    content = files.read_object(
        paths.metrics(method), f"evaluate@{method}", "fid.value", "fid.floor", "collapse",
        "memorization.passes", "memorization.pixels.near_duplicates", "protocol")
    if not is_of(content, card):
        raise StorageError(
            f"{paths.metrics(method)}: the numbers of another model than {paths.model(method)}; "
            f"run `dvc repro evaluate@{method}`"
        )
    return content


def write_model_of_samples(method: str, card: Card) -> None:
    """Write beside the samples of `method` which model made them."""
    files.write_json(paths.generated(method) / MODEL, identity(card))


def check_samples(method: str, card: Card, samples_sha256: str | None = None) -> None:
    """Raises StorageError where the samples on disk are of another model, or are not those with this hash."""
    if files.read_json(paths.generated(method) / MODEL) != identity(card):
        raise StorageError(
            f"{paths.generated(method)}: samples of another model than {paths.model(method)}; "
            f"run `dvc repro generate@{method}`"
        )
    if samples_sha256 not in (None, files.sha256(paths.generated(method) / "images.npy")):
        raise StorageError(
            f"{paths.metrics(method)}: the numbers of other samples than {paths.generated(method)}; "
            f"run `dvc repro evaluate@{method}`"
        )
