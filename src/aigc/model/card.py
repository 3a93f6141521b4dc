"""A trained model on disk: model.safetensors and a config.json that says what it is and what its bytes must hash to.

Against rot and mistakes, not against malice: who can write both files can make them agree.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
    """How many numbers a model's weights hold, buffers included."""
    return sum(tensor.numel() for tensor in weights.values())


@dataclass(frozen=True)
class Card:
    """What config.json says. data_sha256 names what the model learned from; files: the sha256 of each file beside the card.

    origin: source, licence, attribution and url of those pictures, each "" where nobody said.
    """

    method: str
    config: dict[str, Any]
    shape: dict[str, int]
    classes: list[str]
    seed: int
    data_sha256: str
    origin: dict[str, str]
    files: dict[str, str]

    @property
    def weights_sha256(self) -> str:
        """What joins a model to its MLflow run."""
        return self.files[WEIGHTS]

    @property
    def sha256(self) -> str:
        """Names the model whole: how it samples, and through `files` every byte beside the card."""
        return hashlib.sha256(files.canonical_json(asdict(self)).encode()).hexdigest()


def write_model(folder: Path, model: torch.nn.Module, **facts: Any) -> Card:
    """Write the weights, then the card that vouches for them and for itself. facts: the fields of Card but files."""
    files.write_tensors(folder / WEIGHTS, model.state_dict())
    card = Card(files={WEIGHTS: files.sha256(folder / WEIGHTS)}, **facts)
    files.write_json(folder / CONFIG, {**asdict(card), CARD_SHA256: card.sha256})
    return card


def read_card(folder: Path) -> Card:
    """The card of the model in `folder`. Raises StorageError when it is missing, has other fields or was changed."""
    path = folder / CONFIG
    try:
        content = dict(files.read_json(path))
        written = content.pop(CARD_SHA256, "nothing")
        card = Card(**content)
        if not isinstance(card.files, dict) or WEIGHTS not in card.files or any(Path(name).name != name for name in card.files):
            raise ValueError(f"`files` must list {WEIGHTS} and name no other folder")
    except (TypeError, ValueError) as error:
        raise StorageError(f"{path}: not the card of a model ({error}); delete it and run `dvc repro`") from None
    if card.sha256 != written:
        raise StorageError(f"{path}: was changed after it was written: its {CARD_SHA256} is {str(written)[:16]}, its content "
                           f"hashes to {card.sha256[:16]}; {RESTORE}")
    return card


def read_weights(folder: Path, card: Card, model: torch.nn.Module) -> None:
    """Load the weights into `model` and put it in eval mode. Raises StorageError, naming the file, when a byte differs from the card."""
    for name, expected in card.files.items():
        found = files.sha256(folder / name) if (folder / name).exists() else "nothing"
        if found != expected:
            raise StorageError(f"{folder / name}: sha256 is {found[:16]}, its {CONFIG} says {expected[:16]}; {RESTORE}")
    model.load_state_dict(files.read_tensors(folder / WEIGHTS)[0])
    model.eval().requires_grad_(False)
