"""What is asked of every method beyond fidelity: once of the real pictures, then of each method's samples.

The answers nest: section (memorization, collapse, labels, own) -> metric -> value, low, high, floor. One function a
section; what they share is one frozen context.
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
from aigc.evaluation import diversity, fidelity, labels, memorization, own_measures
from aigc.evaluation.config import AuditConfig, EvaluateConfig
from aigc.evaluation.fidelity import Extractors
from aigc.evaluation.gan_train import hits_on_real
from aigc.features.classifier import ClassifierConfig
from aigc.features.contract import Features
from aigc.features.extractor import ClassifierExtractor, open_extractor
from aigc.metrics.labels import fid_per_class
from aigc.model.contract import Method

Sections = dict[str, Any]


@dataclass(frozen=True)
class Splits:
    """The real pictures: what methods learned from, what nothing did, and what metrics compare with."""

    train: Pictures
    holdout: Pictures
    test: Pictures

    @classmethod
    def open(cls, size: int) -> "Splits":
        """The real pictures for metrics at sample size `size`. Raises DataError where a split has fewer."""
        train, holdout, test = (pictures.open_folder(paths.PROCESSED / name) for name in NAMES)
        for name, found in (("holdout", holdout), ("test", test)):
            if len(found) < size:
                raise DataError(f"{paths.PROCESSED / name}: {len(found)} pictures are fewer than evaluate.sample_size "
                                f"({size}); lower it, or raise data.split.{name}")
        return cls(train, holdout.spread(size), test.spread(size))


@dataclass(frozen=True)
class AuditContext:
    """What every section may look at. All numbers are of the first n = config.sample_size pictures of a set.

    classifier: the pipeline's own, for classes, whatever extractor the metrics use.
    """

    config: EvaluateConfig
    limits: AuditConfig
    splits: Splits
    extractors: Extractors
    classifier: ClassifierExtractor
    device: Device

    @classmethod
    def open(cls, config: EvaluateConfig, limits: AuditConfig, device: Device) -> "AuditContext":
        """With the evaluator of models/evaluator and the extractor that `evaluate.extractor` names."""
        classifier = ClassifierExtractor(device)
        main = (classifier if config.extractor == "classifier"
                else open_extractor(config.extractor, device, config.inception_weights))
        return cls(config, limits, Splits.open(config.sample_size), Extractors(main, config, device), classifier, device)

    @property
    def size(self) -> int:
        return self.config.sample_size

    @property
    def classes(self) -> int:
        return len(self.splits.test.classes)

    def classes_seen(self, images: np.ndarray, found: Features) -> np.ndarray:
        """The class that the classifier sees in each picture, int64 (N,); -1 where it knows no classes.

        found: what the run's extractor gave for the same pictures, so that one that is the classifier runs once.
        """
        if not self.classifier.names_classes:
            return np.full(len(images), pictures.UNLABELLED)
        by_classifier = found if self.extractors.main is self.classifier else self.classifier.extract(images)
        return np.asarray(by_classifier.logits.argmax(1))

    def learn_from(self, samples: Pictures) -> np.ndarray:
        """Which real test pictures a classifier names rightly that learned from `samples` alone: bool (len(test),)."""
        settings = {**self.classifier.card.config, "images": self.limits.classifier_images}
        return hits_on_real(samples, self.splits.test, ClassifierConfig(**settings), self.device)


def of_real(context: AuditContext, of_test: np.ndarray, holdout: Features, folder: Path) -> Sections:
    """The floor of each number (the real holdout in place of samples), and the verdict on the controls.

    of_test: features of the first n test pictures. holdout: features of the holdout. Writes to `folder` what the audits of
    all methods share. Call `memorization.insist` on the controls after the answer is written.
    """
    size, splits = context.size, context.splits
    extract = context.extractors.main.extract
    real = splits.holdout.images[:size]
    audit = memorization.prepare(splits.train.images, extract(splits.train.images).features, splits.test.images[:size],
                                 of_test, context.limits)
    memorization.write(folder, audit)
    copies = {kind: (images, extract(images).features)
              for kind, images in memorization.planted(splits.train.images).items()}
    controls = memorization.control(audit, copies, (real, holdout.features[:size]))
    seen = context.classes_seen(splits.holdout.images, holdout)[:size]
    within = diversity.radius(splits.test.images[:size], context.limits.near_duplicate)
    sections: Sections = {"controls": controls, "memorization": controls["holdout"],
                          "collapse": {**diversity.measure(real, seen, context.classes, within), "within": within}}
    if context.classes >= FEWEST_CLASSES:
        asked = splits.holdout.labels[:size]
        sections["labels"], _ = labels.measure(asked, seen, context.learn_from(splits.train), context.classes)
        sections["fid_per_class"] = fid_per_class(of_test, splits.test.labels[:size], holdout.features[:size], asked,
                                                  context.classes)
    return sections


@dataclass(frozen=True)
class Answer:
    """The sections of one method; each table is the file of its name in reports/plots (see core/paths)."""

    sections: Sections
    nearest: pd.DataFrame
    classes: pd.DataFrame
    confusion: pd.DataFrame


@dataclass(frozen=True)
class Samples:
    """One method's samples: the pictures, their features, the class seen in each, int64 (N,), and who made them.

    batch: pictures a step of the method's training.
    """

    method: Method
    pictures: Pictures
    features: np.ndarray
    seen: np.ndarray
    batch: int


def of_method(context: AuditContext, samples: Samples, of_test: np.ndarray, real: Sections, folder: Path) -> Answer:
    """All sections of one method's samples. real: what `of_real` answered; folder: where it wrote what audits share.

    Memorization, collapse and the family's own measures are of n pictures, labels of all samples.
    """
    memory, nearest = _memorization(context, samples, real["memorization"], folder)
    sections: Sections = {
        "memorization": memory,
        "collapse": _collapse(context, samples, real["collapse"]),
        "own": own_measures.measure(samples.method, context.splits.test, context.splits.train, context.size,
                                    samples.batch, context.device),
    }
    names, classes = np.array(samples.pictures.classes), len(samples.pictures.classes)
    table = pd.DataFrame({"class": samples.pictures.classes, "count": np.bincount(np.maximum(samples.seen, 0), minlength=classes)[:classes]})
    confusion = pd.DataFrame(columns=["actual", "predicted"])
    if samples.method.conditional:
        sections["labels"], by_class = _labels(context, samples, of_test, real)
        table = pd.concat([table, by_class], axis=1)
        confusion = pd.DataFrame({"actual": names[samples.pictures.labels], "predicted": names[samples.seen]})
    return Answer(sections, nearest, table, confusion)


def _memorization(context: AuditContext, samples: Samples, floor: Sections, folder: Path) -> tuple[Sections, pd.DataFrame]:
    """The section, and the samples nearest to training pictures as a table."""
    audit = memorization.read(folder, context.splits.train.images)
    numbers, located = audit.score(samples.pictures.images[:context.size], samples.features[:context.size])
    section = {**numbers, **{view: fidelity.beside(numbers[view], floor=floor[view]) for view in memorization.VIEWS}}
    return section, pd.DataFrame(memorization.closest(audit, located))


def _collapse(context: AuditContext, samples: Samples, floor: Sections) -> Sections:
    numbers = diversity.measure(samples.pictures.images[:context.size], samples.seen[:context.size],
                                len(samples.pictures.classes), floor["within"])
    return fidelity.beside(numbers, floor={name: number for name, number in floor.items() if name != "within"})


def _labels(context: AuditContext, samples: Samples, of_test: np.ndarray, real: Sections) -> tuple[Sections, pd.DataFrame]:
    """The section, and a table of one row a class."""
    classes, found = len(samples.pictures.classes), samples.pictures
    learned = context.learn_from(found)
    numbers, report = labels.measure(found.labels, samples.seen, learned, classes)
    fids = fid_per_class(of_test, context.splits.test.labels[:context.size], samples.features, found.labels, classes)
    by_class = labels.table(report, fids, real["fid_per_class"], found.classes).drop(columns="class")
    return fidelity.beside(numbers, floor=real["labels"]), by_class
