"""The trained evaluator as the metrics use it: pictures in, features and class logits out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aigc import model
from aigc.core import files, paths
from aigc.core.runtime import Device
from aigc.features.classifier import Classifier, ClassifierConfig
from aigc.methods.contract import Shape
from aigc.networks.blocks import as_model_space

ROWS = 250


@dataclass(frozen=True)
class Seen:
    """features: float32 (N, d). logits: float32 (N, classes)."""

    features: np.ndarray
    logits: np.ndarray


class Extractor:
    """The evaluator in `folder`. name and sha256 belong beside every number that is made through it."""

    def __init__(self, device: Device, folder: Path = paths.EVALUATOR) -> None:
        self.card = model.read_card(folder)
        self.network = Classifier(ClassifierConfig(**self.card.config), Shape(**self.card.shape))
        model.read_weights(folder, self.card, self.network)
        self.network.to(device.torch_device)
        self.device = device

    def protocol(self) -> dict[str, Any]:
        """What to print beside a number."""
        return {"extractor": "classifier trained on the train split", "extractor_sha256": self.card.weights_sha256,
                "extractor_accuracy": files.read_json(paths.EVALUATOR_METRICS)["accuracy"]}

    def see(self, images: np.ndarray) -> Seen:
        """uint8 (N, C, H, W), memory-mapped or not, in chunks."""
        return see(self.network, images, self.device)


@torch.inference_mode()
def see(network: Classifier, images: np.ndarray, device: Device) -> Seen:
    """Features and logits of pictures under `network`, which is in eval mode on `device`."""
    parts = []
    for start in range(0, len(images), ROWS):
        chunk = torch.from_numpy(np.array(images[start:start + ROWS])).to(device.torch_device)
        parts.append([part.float().cpu().numpy() for part in network(as_model_space(chunk))])
    features, logits = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Seen(features, logits)
