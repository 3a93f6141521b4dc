"""What the metrics look through: pictures in, features and class logits out. Here the pipeline's own classifier."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from aigc import model
from aigc.core import config, files, paths
from aigc.core.errors import DataError
from aigc.core.runtime import Device
from aigc.features.classifier import Classifier, ClassifierConfig
from aigc.methods.contract import Shape
from aigc.networks.blocks import as_model_space

ROWS = 250


class Stack(Protocol):
    """Pictures that need not lie in memory: a slice of them is uint8 (b, C, H, W)."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Seen:
    """features: float32 (N, d). logits: float32 (N, classes), of no columns where the extractor knows no classes."""

    features: np.ndarray
    logits: np.ndarray


class Eye(Protocol):
    """Any extractor. sha256 names its weights: numbers through different ones are never compared."""

    sha256: str

    def protocol(self) -> dict[str, Any]:
        """What to print beside a number."""

    def see(self, images: Stack) -> Seen:
        """uint8 (N, C, H, W), memory-mapped or not, in chunks. Raises DataError when they do not fit the extractor."""


def open_eye(chosen: config.Evaluate, device: Device) -> Eye:
    """The extractor that `evaluate.extractor` names. Raises StorageError when its weights are missing or other than they should be."""
    if chosen.extractor == "classifier":
        return Extractor(device)
    from aigc.features.inception import Inception

    return Inception(device, chosen.inception_weights)


class Extractor:
    """The evaluator in `folder`. name and sha256 belong beside every number that is made through it."""

    def __init__(self, device: Device, folder: Path = paths.EVALUATOR) -> None:
        self.card = model.read_card(folder)
        self.sha256 = self.card.weights_sha256
        self.network = Classifier(ClassifierConfig(**self.card.config), Shape(**self.card.shape))
        model.read_weights(folder, self.card, self.network)
        self.network.to(device.torch_device)
        self.device = device

    def protocol(self) -> dict[str, Any]:
        """What to print beside a number."""
        task = "classifier" if self.names_classes else "classifier of quarter turns"
        return {"extractor": f"{task} trained on the train split", "extractor_sha256": self.sha256,
                "extractor_accuracy": files.read_json(paths.EVALUATOR_METRICS)["accuracy"]}

    def see(self, images: Stack) -> Seen:
        """uint8 (N, C, H, W), memory-mapped or not, in chunks. Raises DataError when they have another shape than it learned."""
        known = Shape(**self.card.shape).image
        if images.shape[1:] != known:
            raise DataError(f"the pipeline's classifier knows pictures of (channels, height, width) {known}, found {images.shape[1:]}; "
                            "resize them, or use `--extractor inception`")
        seen = see(self.network, images, self.device)
        return seen if self.names_classes else Seen(seen.features, seen.logits[:, :0])

    @property
    def names_classes(self) -> bool:
        """Whether it learned classes; else it learned how pictures are turned."""
        return self.network.names_classes


def see(network: Classifier, images: Stack, device: Device) -> Seen:
    """Features and logits of pictures under `network`, which is in eval mode on `device`."""
    return look(lambda chunk: network(as_model_space(chunk)), images, device, ROWS)


@torch.inference_mode()
def look(forward: Callable[[Tensor], tuple[Tensor, Tensor]], images: Stack, device: Device, rows: int) -> Seen:
    """forward: uint8 (B, C, H, W) on `device` -> features, logits; called on `rows` pictures at a time."""
    parts = []
    with tqdm(total=len(images), disable=None, unit="picture", desc="features", leave=False) as bar:
        for start in range(0, len(images), rows):
            chunk = torch.from_numpy(np.array(images[start:start + rows])).to(device.torch_device)
            parts.append([part.float().cpu().numpy() for part in forward(chunk)])
            bar.update(len(chunk))
    features, logits = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Seen(features, logits)
