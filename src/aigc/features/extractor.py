"""The feature extractor of a run: the pipeline's own classifier, or a published network."""

from pathlib import Path
from typing import Any

import numpy as np

from aigc.core import files, paths, sharing
from aigc.core.errors import DataError
from aigc.core.runtime import Device
from aigc.features import contract
from aigc.features.classifier import ROWS, Classifier, ClassifierConfig
from aigc.features.contract import FeatureExtractor, Features, PictureStack
from aigc.model.card import read_card, read_weights
from aigc.model.contract import Shape


def open_extractor(name: str, device: Device, weights: str = "") -> FeatureExtractor:
    """The extractor `classifier`, or a published network.

    weights: the file of a published network, "" = the cache of torch. Raises StorageError if they are
    missing or changed.
    """
    if name == "classifier":
        return ClassifierExtractor(device)
    from aigc.features.published import PublishedExtractor

    return PublishedExtractor(name, device, weights)


class ClassifierExtractor:
    """The classifier in `folder`, in eval mode on `device`."""

    def __init__(self, device: Device, folder: Path = paths.EVALUATOR) -> None:
        self.folder, self.card = folder, read_card(folder)
        self.sha256 = self.card.weights_sha256
        self.network = Classifier(ClassifierConfig(**self.card.config), Shape(**self.card.shape))
        read_weights(folder, self.card, self.network)
        self.network.place_on(device)
        self.device = device

    def protocol(self) -> dict[str, Any]:
        """The entries of the protocol that describe this extractor."""
        task = "classifier" if self.names_classes else "classifier of quarter turns"
        return {"extractor": f"{task} trained on the train split", "extractor_sha256": self.sha256,
                "extractor_accuracy": files.read_object(paths.EVALUATOR_METRICS, "evaluator",
                                                        "accuracy")["accuracy"]}

    def extract(self, images: PictureStack) -> Features:
        """uint8 (N, C, H, W), memory-mapped or not, in chunks. Raises DataError if (C, H, W) is another than
        in its training.
        """
        expected = Shape(**self.card.shape).image
        if images.shape[1:] != expected:
            raise DataError("the pipeline's classifier needs pictures of (channels, height, width) "
                            f"{expected}, found {images.shape[1:]}; resize them, or use "
                            "`--extractor inception`")
        chunks = contract.chunks(images, ROWS)
        extracted = contract.joined(sharing.in_order(self.of_chunk, chunks), len(images))
        return extracted if self.names_classes else Features(extracted.features, extracted.logits[:, :0])

    def of_chunk(self, chunk: np.ndarray) -> contract.Chunk:
        return contract.of_chunk(self.network.on_bytes, self.device, chunk)

    def __reduce__(self) -> tuple[Any, ...]:
        return sharing.opened, (ClassifierExtractor, self.device, self.folder)

    @property
    def names_classes(self) -> bool:
        """Whether it predicts classes. Otherwise it predicts by which quarter turn a picture was rotated."""
        return self.network.names_classes
