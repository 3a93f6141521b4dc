"""The pipeline's own feature extractor: a small residual classifier, trained on the train split alone.

The features are the last layer, and the mean and the standard deviation over the picture of the activations
of each level but the last. The first levels see sharpness and grain, the last layer sees what is shown. Each
feature has mean 0 on real pictures, and variance 1 or less; those of the first level may weigh more.

The classifier is trained on the same pictures as the methods. This is fair if all methods are measured with
the same classifier, if it orders the damages of the ruler, and if its hash is given with every number.

If the pictures have no classes, it learns to predict by which quarter turn each was rotated (Gidaris et al.
2018).
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from aigc.core.runtime import Device
from aigc.features.contract import Features, PictureStack, extract_in_chunks
from aigc.model.contract import MethodConfig, Player, Shape, Trainable
from aigc.networks import blocks

TURNS = 4
ROWS = 250  # pictures at a time
LARGEST_SIDE = 64  # positions a side of the first level; larger pictures are cut into patches
SMALL = 1e-6  # added to a variance
# Added to the variance of each feature. A feature that hardly varies between real pictures must not decide:
# on digits that would be the black ground. Chosen by benchmarks/evaluator.py; see docs/metrics.md.
VARIANCE_FLOOR = 0.1
WIDEST = 8  # most channels, as a multiple of those of the first level


class ClassifierConfig(MethodConfig):
    """width: channels of the first level. features: of the last layer. mirror, shift: see TrainConfig.

    first_level: the factor on the features of the first level, where these see sharpness.
    """

    learning_rate: Annotated[float, Field(gt=0)]
    width: Annotated[int, Field(ge=1)]
    features: Annotated[int, Field(ge=2)]
    mirror: bool = False
    shift: Annotated[int, Field(ge=0)] = 0
    first_level: Annotated[float, Field(gt=0)] = 1.0


class Residual(nn.Module):
    """x + norm(conv(x)), rectified: (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                                    nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)"""
        return F.relu(x + self.change(x))


class Classifier(Trainable):
    """image -> features -> logits: of the classes, or of the quarter turns if there are fewer than two."""

    def __init__(self, config: ClassifierConfig, shape: Shape) -> None:
        super().__init__(shape)
        self.config, self.names_classes = config, shape.has_classes
        patch = 1
        while shape.size // patch > LARGEST_SIDE:
            patch *= 2
        widths, sides = blocks.pyramid(config.width, shape.size // patch, WIDEST * config.width)
        start = (nn.Conv2d(shape.channels, widths[0], 3, padding=1, bias=False) if patch == 1
                 else nn.Conv2d(shape.channels, widths[0], patch, stride=patch, bias=False))
        levels = [nn.Sequential(start, nn.BatchNorm2d(widths[0]), nn.ReLU())]
        levels += [nn.Sequential(blocks.down(fine, coarse), nn.BatchNorm2d(coarse), nn.ReLU(),
                                 Residual(coarse)) for fine, coarse in pairwise(widths)]
        self.levels = nn.ModuleList(levels)
        self.last = nn.Sequential(nn.Flatten(), blocks.Linear(widths[-1] * sides[-1]**2, config.features),
                                  nn.ReLU())
        count = 2 * sum(widths[:-1]) + config.features
        self.standardise = nn.BatchNorm1d(count, eps=VARIANCE_FLOOR, affine=False)
        weights = torch.ones(count)
        weights[:2 * widths[0]] = config.first_level
        self.register_buffer("weights", weights, persistent=False)
        self.head = blocks.Linear(count, shape.classes if self.names_classes else TURNS)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """float (B, C, H, W) in [-1, 1] -> features (B, d), logits (B, classes or 4)."""
        x, found = images, []
        for level in self.levels[:-1]:
            x = level(x)
            variance, mean = torch.var_mean(x, (2, 3), correction=0)
            # Not torch.sqrt, whose last bit depends on the CPU.
            found += [mean, variance * (variance + SMALL).rsqrt()]
        features = self.standardise(torch.cat([*found, self.last(self.levels[-1](x))], dim=1))
        return features * self.weights, self.head(features)

    def on_bytes(self, images: Tensor) -> tuple[Tensor, Tensor]:
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
        yield "classifier", F.cross_entropy(self(real)[1], labels)


def rotated(images: Tensor, turns: Tensor) -> Tensor:
    """Each square picture of (B, C, S, S), rotated by its number of quarter turns, int (B,) in [0, 4)."""
    every_turn = torch.stack([images.rot90(turn, (2, 3)) for turn in range(TURNS)])
    return every_turn[turns, torch.arange(len(images), device=images.device)]


def classify(network: Classifier, images: PictureStack, device: Device) -> Features:
    """Features and logits of pictures. network: in eval mode on `device`."""
    return extract_in_chunks(network.on_bytes, images, device, ROWS)
