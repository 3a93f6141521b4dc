"""A trained model on disk: model.safetensors and a config.json that says what it is and what its bytes must hash to."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from aigc.core import files
from aigc.core.errors import StorageError
from aigc.methods import contract
from aigc.methods.contract import Method, MethodConfig, Shape

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


@dataclass(frozen=True)
class Card:
    """What config.json says. weights_sha256 joins a model to its MLflow run; data_sha256 names what it learned from."""

    method: str
    config: dict[str, Any]
    shape: dict[str, int]
    classes: list[str]
    seed: int
    data_sha256: str
    weights_sha256: str


def write(folder: Path, model: torch.nn.Module, **facts: Any) -> Card:
    """Write the weights, then the card that vouches for them. facts: the fields of Card but weights_sha256."""
    files.write_tensors(folder / WEIGHTS, model.state_dict())
    card = Card(weights_sha256=files.sha256(folder / WEIGHTS), **facts)
    files.write_json(folder / CONFIG, asdict(card))
    return card


def read_card(folder: Path) -> Card:
    """The card of the model in `folder`. Raises StorageError when it is missing or has other fields."""
    try:
        return Card(**files.read_json(folder / CONFIG))
    except TypeError as error:
        raise StorageError(f"{folder / CONFIG}: not the card of a model ({error}); delete it and run `dvc repro`") from None


def read_weights(folder: Path, card: Card, model: torch.nn.Module) -> None:
    """Load the weights into `model` and put it in eval mode. Raises StorageError when a byte differs from the card."""
    found = files.sha256(folder / WEIGHTS) if (folder / WEIGHTS).exists() else "nothing"
    if found != card.weights_sha256:
        raise StorageError(f"{folder / WEIGHTS}: sha256 is {found[:16]}, its config.json says {card.weights_sha256[:16]}; "
                           "restore it with `dvc checkout`")
    model.load_state_dict(files.read_tensors(folder / WEIGHTS)[0])
    model.eval().requires_grad_(False)


def read(folder: Path, device: torch.device | str = "cpu") -> tuple[Method, Card]:
    """The generative model in `folder`, in eval mode on `device`, with its card."""
    card = read_card(folder)
    chosen: MethodConfig = contract.page(card.method).Config.model_validate(card.config)
    built = contract.build(card.method, chosen, Shape(**card.shape))
    read_weights(folder, card, built)
    return built.to(device), card
