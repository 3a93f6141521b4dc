"""The audit: what is measured beyond fidelity, for real pictures and for the samples of each method.

The result is nested: section (memorization, collapse, labels, own, published) -> metric -> value, low, high,
floor. One
function computes one section. AuditContext is what they share.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aigc.core import paths
from aigc.core.config import FEWEST_CLASSES
from aigc.core.errors import DataError
from aigc.core.runtime import Device
from aigc.data import pictures
from aigc.data.pictures import Pictures
from aigc.data.splits import NAMES
from aigc.evaluation import (
    device_pairs,
    diversity,
    fidelity,
    labels,
    memorization_audit,
    own_measures,
    published_protocol,
)
from aigc.evaluation.config import AuditConfig, EvaluateConfig
from aigc.evaluation.fidelity import Extractors
from aigc.evaluation.gan_train import correct_on_real
from aigc.features.classifier import ClassifierConfig
from aigc.features.contract import Features
from aigc.features.extractor import ClassifierExtractor, open_extractor
from aigc.metrics.labels import fid_per_class
from aigc.model.contract import Method

Sections = dict[str, Any]


@dataclass(frozen=True)
class Splits:
    """The real pictures. Methods train on `train`, nothing trains on `holdout`, metrics compare with `test`.

    learned: those of `train` that a method learns from.
    """

    train: Pictures
    holdout: Pictures
    test: Pictures
    learned: Pictures

    @classmethod
    def open(cls, size: int) -> "Splits":
        """The real pictures, for metrics at sample size `size`. Raises DataError if a split has fewer."""
        train, holdout, test = (pictures.open_folder(paths.PROCESSED / name) for name in NAMES)
        for name, split in (("holdout", holdout), ("test", test)):
            if len(split) < size:
                raise DataError(f"{paths.PROCESSED / name}: {len(split)} pictures are fewer than "
                                f"evaluate.sample_size ({size}); lower it, or raise data.split.{name}")
        return cls(train, holdout.spread(size), test.spread(size), train)


@dataclass(frozen=True)
class AuditContext:
    """What all sections share. Numbers are of the first n = config.sample_size pictures of a set.

    classifier: the pipeline's own classifier. It predicts the classes, also if the metrics use another
    extractor.
    """

    config: EvaluateConfig
    limits: AuditConfig
    splits: Splits
    extractors: Extractors
    classifier: ClassifierExtractor
    device: Device

    @classmethod
    def open(cls, config: EvaluateConfig, limits: AuditConfig, device: Device) -> "AuditContext":
        """With the classifier of models/evaluator and the extractor that `evaluate.extractor` names."""
        device_pairs.use(device)
        classifier = ClassifierExtractor(device)
        main = (classifier if config.extractor == "classifier"
                else open_extractor(config.extractor, device, config.extractor_weights))
        return cls(config, limits, Splits.open(config.sample_size), Extractors(main, config, device),
                   classifier, device)

    @property
    def size(self) -> int:
        return self.config.sample_size

    @property
    def classes(self) -> int:
        return len(self.splits.test.classes)

    def predicted_classes(self, images: np.ndarray, main: Features) -> np.ndarray:
        """The class that the classifier predicts for each picture, int64 (N,); -1 if it was trained without
        classes.

        main: the features of the same pictures by the run's extractor. If that is the classifier, it is not
        run twice.
        """
        if not self.classifier.names_classes:
            return np.full(len(images), pictures.UNLABELLED)
        features = main if self.extractors.main is self.classifier else self.classifier.extract(images)
        return np.asarray(features.logits.argmax(1))

    def gan_train(self, samples: Pictures) -> np.ndarray:
        """Whether a classifier, trained on `samples` alone, is right on each test picture: bool (n,)."""
        settings = {**self.classifier.card.config, "images": self.limits.classifier_images}
        return correct_on_real(samples, self.splits.test, ClassifierConfig(**settings), self.device)


def measure_real(context: AuditContext, test_features: np.ndarray, holdout: Features,
                 folder: Path) -> Sections:
    """The floor of each number (the real holdout in place of samples), and the numbers of the controls.

    test_features: of the first n test pictures, (n, d). holdout: features of the holdout. Writes to `folder`
    what the audits of all methods share. Call `memorization_audit.check_controls` after the result is
    written.
    """
    size, splits = context.size, context.splits
    extract = context.extractors.main.extract
    real = splits.holdout.images[:size]
    train, is_published = splits.train.images, context.config.protocol == published_protocol.SECTION
    rows = memorization_audit.sampled(len(train), context.limits)
    train_features = extract(train if rows is None or is_published else train[rows]).features
    of_sample = train_features if rows is None or len(train_features) == len(rows) else train_features[rows]
    audit = memorization_audit.prepare_audit(train, of_sample, splits.test.images[:size], test_features,
                                             context.limits)
    memorization_audit.write(folder, audit)
    copies = {alteration: (images, extract(images).features)
              for alteration, images in memorization_audit.copycats(train).items()}
    controls = memorization_audit.measure_controls(audit, copies, (real, holdout.features[:size]))
    sections: Sections = {"controls": controls, "memorization": controls["holdout"],
                          **measure_holdout(context, test_features, holdout)}
    if is_published:
        sections[published_protocol.SECTION] = published_protocol.measure_real(train_features,
                                                                               holdout.features, folder)
    return sections


def measure_holdout(context: AuditContext, test_features: np.ndarray, holdout: Features) -> Sections:
    """The floors of collapse and labels. The arguments are those of `measure_real`."""
    size, splits = context.size, context.splits
    predicted = context.predicted_classes(splits.holdout.images, holdout)[:size]
    radius = diversity.duplicate_radius(splits.test.images[:size], context.limits.near_duplicate)
    collapse = diversity.measure(splits.holdout.images[:size], predicted, context.classes, radius)
    sections: Sections = {"collapse": {**collapse, "within": radius}}
    if context.classes >= FEWEST_CLASSES:
        actual = splits.holdout.labels[:size]
        sections["labels"], _ = labels.measure(actual, predicted, context.gan_train(splits.learned),
                                               context.classes)
        sections["fid_per_class"] = fid_per_class(test_features, splits.test.labels[:size],
                                                  holdout.features[:size], actual, context.classes)
    return sections


@dataclass(frozen=True)
class MethodAudit:
    """The audit of one method. Each table becomes the file of its name in reports/plots (see core/paths)."""

    sections: Sections
    nearest: pd.DataFrame
    classes: pd.DataFrame
    confusion: pd.DataFrame


@dataclass(frozen=True)
class Samples:
    """The samples of one method.

    features: float32 (N, d) of the run's extractor. predicted: the class that the classifier predicts, int64
    (N,).
    batch_size: of the method's training.
    """

    method: Method
    pictures: Pictures
    features: np.ndarray
    predicted: np.ndarray
    batch_size: int


def measure_method(context: AuditContext, samples: Samples, test_features: np.ndarray, real: Sections,
                   folder: Path) -> MethodAudit:
    """All sections for the samples of one method. real: the result of `measure_real`; folder: the one that it
    wrote to.

    Memorization, collapse and the method's own measures use n pictures; the label metrics use all samples.
    """
    memory, nearest = _memorization(context, samples, real["memorization"], folder)
    known = samples.method.learns_from or samples.pictures.classes
    sections: Sections = {
        "memorization": memory,
        "collapse": _collapse(context, samples, real["collapse"]),
        "own": own_measures.measure(samples.method, context.splits.test.named(known),
                                    context.splits.learned.named(known), context.size,
                                    samples.batch_size, context.device),
    }
    if published_protocol.SECTION in real:
        sections[published_protocol.SECTION] = published_protocol.measure(
            samples.features, real[published_protocol.SECTION], folder)
    names, classes = np.array(samples.pictures.classes), len(samples.pictures.classes)
    counts = np.bincount(np.maximum(samples.predicted, 0), minlength=classes)[:classes]
    table = pd.DataFrame({"class": samples.pictures.classes, "count": counts})
    confusion = pd.DataFrame(columns=["actual", "predicted"])
    if samples.method.conditional:
        sections["labels"], by_class = _labels(context, samples, test_features, real)
        table = pd.concat([table, by_class], axis=1)
        confusion = pd.DataFrame({"actual": names[samples.pictures.labels],
                                  "predicted": names[samples.predicted]})
    return MethodAudit(sections, nearest, table, confusion)


def _memorization(context: AuditContext, samples: Samples, floor: Sections,
                  folder: Path) -> tuple[Sections, pd.DataFrame]:
    """The section, and the table of the samples that are nearest to training pictures."""
    audit = memorization_audit.read(folder, context.splits.train.images)
    numbers, nearest = audit.measure(samples.pictures.images[:context.size], samples.features[:context.size])
    section = {**numbers, **{view: fidelity.with_references(numbers[view], floor=floor[view])
                             for view in memorization_audit.VIEWS}}
    return section, pd.DataFrame(memorization_audit.nearest_pairs(audit, nearest))


def _collapse(context: AuditContext, samples: Samples, floor: Sections) -> Sections:
    numbers = diversity.measure(samples.pictures.images[:context.size], samples.predicted[:context.size],
                                len(samples.pictures.classes), floor["within"])
    return fidelity.with_references(numbers, floor={name: number for name, number in floor.items()
                                                    if name != "within"})


def _labels(context: AuditContext, samples: Samples, test_features: np.ndarray,
            real: Sections) -> tuple[Sections, pd.DataFrame]:
    """The section, and a table with one row a class."""
    requested, names = samples.pictures.labels, samples.pictures.classes
    numbers, report = labels.measure(requested, samples.predicted, context.gan_train(samples.pictures),
                                     len(names))
    fids = fid_per_class(test_features, context.splits.test.labels[:context.size], samples.features,
                         requested, len(names))
    by_class = labels.table(report, fids, real["fid_per_class"], names).drop(columns="class")
    return fidelity.with_references(numbers, floor=real["labels"]), by_class
