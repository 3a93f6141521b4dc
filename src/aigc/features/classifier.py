"""The pipeline's own feature extractor: a small convolutional classifier, trained on the train split alone.

The features are the activations before the last layer. The classifier is trained on the same pictures as the
methods. This is fair if all methods are measured with the same classifier, if its accuracy on test pictures
is high, and if its hash is given with every number.

If the pictures have no classes, it learns to predict by which quarter turn each was rotated (Gidaris et al.
2018).
"""

import itertools
from collections.abc import Iterator
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from aigc.core.config import Count, Positive, Section, Seed, Share
from aigc.core.randomness import on_host
from aigc.core.runtime import Device
from aigc.features.contract import Features, PictureStack, extract_in_chunks
from aigc.model.contract import MethodConfig, Player, Shape, Trainable
from aigc.networks import blocks

TURNS = 4
ROWS = 250  # pictures at a time
SHIFT = 2  # pixels; the training pictures are shifted at random by up to this


class EvaluatorConfig(Section):
    seed: Seed
    images: Count
    batch_size: Count
    learning_rate: Positive
    width: Count
    features: Count
    min_accuracy: Share
    outlier: Share


class ClassifierConfig(MethodConfig):
    learning_rate: Positive
    width: Count
    features: Annotated[int, Field(ge=2)]


class Classifier(Trainable):
    """image -> features -> logits: of the classes, or of the four quarter turns if there are fewer than two
    classes.
    """

    def __init__(self, config: ClassifierConfig, shape: Shape) -> None:
        super().__init__(shape)
        self.config, self.names_classes = config, shape.has_classes
        levels, sides = blocks.pyramid(config.width, shape.size, 4 * config.width)
        layers: list[nn.Module] = []
        for fine, coarse in itertools.pairwise([shape.channels, *levels[1:]]):
            layers += [blocks.down(fine, coarse), nn.ReLU(),
                       nn.Conv2d(coarse, coarse, 3, padding=1), nn.GroupNorm(1, coarse), nn.ReLU()]
        flat = levels[-1] * sides[-1]**2
        self.trunk = nn.Sequential(*layers, nn.Flatten(), blocks.Linear(flat, config.features), nn.ReLU())
        self.head = blocks.Linear(config.features, shape.classes if self.names_classes else TURNS)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """float (B, C, H, W) in [-1, 1] -> features (B, d), logits (B, classes or 4)."""
        features = self.trunk(images)
        return features, self.head(features)

    def see(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (B, C, H, W) -> features (B, d), logits (B, classes or 4), on the device's fast path."""
        with self.autocast():
            features, logits = self(blocks.as_model_space(images))
        return features, logits

    def players(self) -> dict[str, Player]:
        return {"classifier": Player(list(self.parameters()), self.config.learning_rate)}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        if not self.names_classes:
            labels = torch.randint(TURNS, (len(real),), generator=rng, device=rng.device)
            real = rotated(real, labels)
        rows, columns = torch.randint(-SHIFT, SHIFT + 1, (2,), generator=on_host(rng)).tolist()
        shifted = F.pad(real, (SHIFT + columns, SHIFT - columns, SHIFT + rows, SHIFT - rows),
                        mode="replicate")
        shifted = shifted[:, :, SHIFT:-SHIFT, SHIFT:-SHIFT]
        yield "classifier", F.cross_entropy(self(shifted)[1], labels)


def rotated(images: Tensor, turns: Tensor) -> Tensor:
    """Each square picture of (B, C, S, S), rotated by its number of quarter turns, int (B,) in [0, 4)."""
    every_turn = torch.stack([images.rot90(turn, (2, 3)) for turn in range(TURNS)])
    return every_turn[turns, torch.arange(len(images), device=images.device)]


def classify(network: Classifier, images: PictureStack, device: Device) -> Features:
    """Features and logits of pictures. network: in eval mode on `device`."""
    return extract_in_chunks(network.see, images, device, ROWS)
