"""A trained model on disk: model.safetensors and the model card config.json, with the hashes of both.

The hashes detect damage and mistakes, not an attack: whoever can write both files can write matching hashes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from aigc.core import files
from aigc.core.errors import StorageError

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
CARD_SHA256 = "card_sha256"
RESTORE = "restore it (`dvc checkout --force`), or download the model again"


def parameter_count(weights: Mapping[str, torch.Tensor]) -> int:
    """How many numbers a model's weights have, buffers included."""
    return sum(tensor.numel() for tensor in weights.values())


@dataclass(frozen=True)
class Card:
    """The content of config.json.

    data_sha256: of the training images. files: the sha256 of each file beside the card. origin: source,
    licence, attribution and url of the training images, each "" where unknown. ancestors: the card's sha256
    of the model that the training started from, of that one's own, and so on; not in the file where empty.
    """

    method: str
    config: dict[str, Any]
    shape: dict[str, int]
    classes: list[str]
    seed: int
    data_sha256: str
    origin: dict[str, str]
    files: dict[str, str]
    ancestors: list[str] = field(default_factory=list)

    @property
    def content(self) -> dict[str, Any]:
        """What config.json holds beside its own hash."""
        return {key: value for key, value in asdict(self).items() if value or key != "ancestors"}

    @property
    def weights_sha256(self) -> str:
        """The key that joins a model to its MLflow run."""
        return self.files[WEIGHTS]

    @property
    def sha256(self) -> str:
        """Identifies the whole model: the card and, through `files`, every byte beside it."""
        return hashlib.sha256(files.canonical_json(self.content).encode()).hexdigest()


def write_model(folder: Path, model: torch.nn.Module, **facts: Any) -> Card:
    """Write the weights, then the card with the hashes of both. facts: the fields of Card except `files`."""
    files.write_tensors(folder / WEIGHTS, model.state_dict())
    card = Card(files={WEIGHTS: files.sha256(folder / WEIGHTS)}, **facts)
    files.write_json(folder / CONFIG, {**card.content, CARD_SHA256: card.sha256})
    return card


def read_card(folder: Path) -> Card:
    """The card of the model in `folder`. Raises StorageError when it is missing, malformed or changed."""
    path = folder / CONFIG
    try:
        content = dict(files.read_json(path))
        written = content.pop(CARD_SHA256, "nothing")
        card = Card(**content)
        if not isinstance(card.files, dict) or WEIGHTS not in card.files:
            raise ValueError(f"`files` must list {WEIGHTS}")
        if any(Path(name).name != name for name in card.files):
            raise ValueError("`files` must not name another folder")
    except (TypeError, ValueError) as error:
        raise StorageError(f"{path}: not the card of a model ({error}); "
                           "delete it and run `dvc repro`") from None
    if card.sha256 != written:
        raise StorageError(f"{path}: was changed after it was written: its {CARD_SHA256} is "
                           f"{str(written)[:16]}, its content hashes to {card.sha256[:16]}; {RESTORE}")
    return card


def check_files(folder: Path, card: Card) -> None:
    """Raises StorageError with the name of the first file whose hash differs from the card's."""
    for name, expected in card.files.items():
        actual = files.sha256(folder / name) if (folder / name).exists() else "nothing"
        if actual != expected:
            raise StorageError(f"{folder / name}: sha256 is {actual[:16]}, its {CONFIG} says "
                               f"{expected[:16]}; {RESTORE}")


def read_weights(folder: Path, card: Card, model: torch.nn.Module) -> None:
    """Load the weights into `model` and put it in eval mode. Raises StorageError as `check_files`."""
    check_files(folder, card)
    model.load_state_dict(files.read_tensors(folder / WEIGHTS)[0])
    model.eval().requires_grad_(False)
