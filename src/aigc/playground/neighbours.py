"""How near pictures are to training pictures, and what the audit on record says of their model."""

import functools
from dataclasses import dataclass

import numpy as np

from aigc.core import hashes, paths
from aigc.core.errors import AigcError, DataError, StorageError
from aigc.data import pictures
from aigc.evaluation import memorization_audit, model_identity
from aigc.evaluation.memorization_audit import View
from aigc.metrics import memorization
from aigc.metrics.memorization import MAX_SHIFT
from aigc.model.card import Card

# Multiplications and additions for one click, as a matrix product: a second of a core, about.
WORK = 2 * 10**10
AUGMENTATIONS = 2 * (2 * MAX_SHIFT + 1) ** 2


@dataclass(frozen=True)
class Neighbour:
    """A picture and its nearest training picture.

    number: of the picture. row: of the train split. image: the training picture, uint8 (C, H, W). limits:
    their distance in limits of a copy; below 1 the audit counts the picture as a near-copy.
    """

    number: int
    row: int
    image: np.ndarray
    limits: float

    @property
    def is_copy(self) -> bool:
        return self.limits < 1


@dataclass(frozen=True)
class Verdict:
    """passes: None = this model was not audited. text: one sentence."""

    passes: bool | None
    text: str


class Training:
    """The training pictures of the project, and how the audit compares with them. Read when first asked."""

    @functools.cached_property
    def _known(self) -> tuple[np.ndarray, View, str]:
        """The pictures, the audit's view of their pixels, and their hash."""
        train = pictures.open_folder(paths.PROCESSED / "train").images
        view = memorization_audit.read(paths.REFERENCE, train).views["pixels"]
        if len(view.training) != len(train):
            raise StorageError(f"{paths.REFERENCE}: of other training pictures; run `dvc repro reference`")
        return train, view, hashes.array_sha256(train)

    def nearest(self, images: np.ndarray, card: Card) -> list[Neighbour]:
        """The nearest training picture of each of the first images, uint8 (n, C, H, W), nearest first.

        By pixels, mirrored and shifted, as the audit does. As many images as WORK allows. Raises DataError
        or StorageError where the pictures that the model learned from, or what the audit knows of them, are
        not here.
        """
        train, view, sha256 = self._known
        if sha256 != card.data_sha256 or train.shape[1:] != images.shape[1:]:
            raise DataError(f"{paths.PROCESSED / 'train'}: these are not the pictures that {card.method} "
                            "learned from")
        cost = AUGMENTATIONS * view.training.pool.size
        found = memorization.find_nearest_augmented(images[:max(1, WORK // cost)], view.training)
        with np.errstate(divide="ignore", invalid="ignore"):
            limits = found.relative_distance(view.training) / view.threshold
        return [Neighbour(int(number), row := int(found.index[number]), np.array(train[row]),
                          float(limits[number])) for number in np.argsort(limits, kind="stable")]


def verdict(card: Card) -> Verdict:
    """What reports/metrics/METHOD.json says of exactly this model."""
    try:
        content = model_identity.read_metrics(card.method, card)
    except AigcError as error:
        return Verdict(None, f"This model was not audited here. ({error})")
    numbers, protocol = content["memorization"]["pixels"]["near_duplicates"], content["protocol"]
    passes = bool(content["memorization"]["passes"])
    return Verdict(passes, f"The audit {'passes' if passes else 'fails'} this model: {numbers['value']:.1%} "
                   f"of {protocol['n']:,} samples are near-copies of training pictures; real pictures: "
                   f"{numbers['floor']:.1%}; limit: {protocol['audit']['max_near_duplicates']:.0%}.")
