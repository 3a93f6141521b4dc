"""The section `evaluator` of params.yaml, and what its keys are where they are `auto`."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from aigc.core.config import Count, Positive, Section, Seed, Share
from aigc.features.classifier import TURNS, ClassifierConfig
from aigc.model.contract import Shape

Auto = Literal["auto"]
GREY, COLOUR = 1, 3  # channels
WIDTH, FEATURES = {GREY: 12, COLOUR: 16}, {GREY: 64, COLOUR: 128}  # by the channels of the pictures
# Without this weight the slightest blur raises precision on colour pictures: see docs/metrics.md.
FIRST_LEVEL = {GREY: 1.0, COLOUR: 3.0}
EPOCHS, SHORTEST, LONGEST = 8, 40_000, 200_000  # the last two in pictures seen
SHIFT = 14  # a side is this many times the largest shift
LEARNED = 1 / 3  # share of the way from guessing to no error that an evaluator must go
# Not in params.yaml: the accuracy and the ruler are checked instead. The learning rate rises and falls once.
CYCLE = {"ema_halflife": 2000.0, "warmup": 0.2, "decay": 0.8}


class EvaluatorConfig(Section):
    """auto: see `choose` and `least_accuracy`."""

    seed: Seed
    images: Count | Auto = "auto"
    batch_size: Count
    learning_rate: Positive
    width: Count | Auto = "auto"
    features: Annotated[int, Field(ge=2)] | Auto = "auto"
    mirror: bool | Auto = "auto"
    shift: Annotated[int, Field(ge=0)] | Auto = "auto"
    min_accuracy: Share | Auto = "auto"
    outlier: Share


def choose(settings: EvaluatorConfig, shape: Shape, count: int) -> ClassifierConfig:
    """The classifier for `count` training pictures of this shape: each `auto` gets its number.

    Colour pictures are mirrored, grey ones are not: they may be digits or letters.
    """
    auto = {"images": min(LONGEST, max(SHORTEST, EPOCHS * count)), "width": WIDTH[shape.channels],
            "features": FEATURES[shape.channels], "mirror": shape.channels == COLOUR,
            "shift": max(1, shape.size // SHIFT)}
    fixed = {name: value for name in auto if (value := getattr(settings, name)) != "auto"}
    return ClassifierConfig.model_validate({**CYCLE, "batch_size": settings.batch_size,
                                            "first_level": FIRST_LEVEL[shape.channels],
                                            "learning_rate": settings.learning_rate, **auto, **fixed})


def least_accuracy(settings: EvaluatorConfig, labels: np.ndarray, has_classes: bool) -> float:
    """The accuracy on test pictures with these labels, int64 (n,), that the classifier must reach.

    auto: a third of the way from guessing the most frequent class always to no error: 0.4 for ten equally
    frequent classes, 0.67 for two, 0.5 for the four quarter turns.
    """
    if settings.min_accuracy != "auto":
        return settings.min_accuracy
    guessed = np.bincount(labels).max() / len(labels) if has_classes else 1 / TURNS
    return float(guessed + LEARNED * (1 - guessed))
