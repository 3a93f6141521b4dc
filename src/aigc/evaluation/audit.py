"""What is asked of every method beyond fidelity, in one place: once for the real pictures, then for each method's samples.

The answers nest: section (memorization, collapse, labels, own) -> metric -> value, low, high, floor.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aigc.core import config, paths
from aigc.core.errors import DataError
from aigc.core.runtime import Device
from aigc.data import pictures
from aigc.data.pictures import Pictures
from aigc.data.splits import NAMES
from aigc.evaluation import labels, memorization, own, spread
from aigc.features.classifier import ClassifierConfig
from aigc.features.extractor import Extractor, Eye, Seen, open_eye
from aigc.features.gan_train import hits_on_real
from aigc.methods.contract import Method
from aigc.metrics.labels import fid_per_class

Sections = dict[str, Any]


@dataclass(frozen=True)
class Through:
    """What pictures are looked at through: the eye of the metrics, and the pipeline's classifier for their classes."""

    eye: Eye
    classifier: Extractor
    device: Device

    def learning(self, images: int) -> ClassifierConfig:
        """A classifier like the evaluator, trained for so many pictures."""
        return ClassifierConfig(**{**self.classifier.card.config, "images": images})

    @classmethod
    def open(cls, chosen: config.Evaluate, device: Device) -> "Through":
        """The evaluator, and the extractor that `evaluate.extractor` names."""
        classifier = Extractor(device)
        return cls(classifier if chosen.extractor == "classifier" else open_eye(chosen, device), classifier, device)

    def classes(self, images: np.ndarray, seen: Seen) -> np.ndarray:
        """The class that the classifier sees in each picture, where the eye has `seen` them: int64 (N,); -1 where it knows none."""
        if not self.classifier.names_classes:
            return np.full(len(images), pictures.UNLABELLED)
        by_classifier = seen if self.eye is self.classifier else self.classifier.see(images)
        return np.asarray(by_classifier.logits.argmax(1))


@dataclass(frozen=True)
class Splits:
    """The real pictures: what methods learned from, what nothing did, and what metrics compare with."""

    train: Pictures
    holdout: Pictures
    test: Pictures


def open_splits(size: int) -> Splits:
    """The real pictures for metrics at sample size `size`. Raises DataError where a split has fewer."""
    train, holdout, test = (pictures.open_folder(paths.PROCESSED / name) for name in NAMES)
    for name, found in (("holdout", holdout), ("test", test)):
        if len(found) < size:
            raise DataError(f"{paths.PROCESSED / name}: {len(found)} pictures are fewer than evaluate.sample_size ({size}); "
                            f"lower it, or raise data.split.{name}")
    return Splits(train, holdout.spread(size), test.spread(size))


def of_real(splits: Splits, through: Through, of_test: np.ndarray, held_out: Seen, chosen: config.Audit, folder: Path) -> Sections:
    """The floor of each number (the real holdout in place of samples), and the verdict on the controls. Keeps in `folder` what
    the methods' audits share. `insist` on the controls after the answer is written.

    of_test: features of the first n test pictures; held_out: what the eye sees in the holdout; all numbers are of n pictures.
    """
    train, test, holdout, size = splits.train, splits.test, splits.holdout, len(of_test)
    of_holdout = held_out.features[:size]
    prepared = memorization.prepare(train.images, through.eye.see(train.images).features, test.images[:size], of_test, chosen)
    memorization.write(folder, prepared)
    copies = {kind: (images, through.eye.see(images).features) for kind, images in memorization.planted(train.images).items()}
    controls = memorization.control(prepared, copies, (holdout.images[:size], of_holdout))
    seen, within = through.classes(holdout.images, held_out)[:size], spread.radius(test.images[:size], chosen.near_duplicate)
    classes = len(test.classes)
    sections: Sections = {"controls": controls, "memorization": controls["holdout"],
                          "collapse": {**spread.judge(holdout.images[:size], seen, classes, within), "within": within}}
    if classes >= config.FEWEST_CLASSES:
        learned = hits_on_real(train, test, through.learning(chosen.classifier_images), through.device)
        sections["labels"], _ = labels.judge(holdout.labels[:size], seen, learned, classes)
        sections["fid_per_class"] = fid_per_class(of_test, test.labels[:size], of_holdout, holdout.labels[:size], classes)
    return sections


@dataclass(frozen=True)
class Answer:
    """What one method answered; each table is the file of its name in reports/plots (see core/paths)."""

    sections: Sections
    nearest: pd.DataFrame
    classes: pd.DataFrame
    confusion: pd.DataFrame


def of_method(method: Method, samples: Pictures, found: Seen, splits: Splits, through: Through, of_test: np.ndarray,
              chosen: config.Audit, real: Sections, folder: Path, batch: int) -> Answer:
    """All sections of one method's samples, in which the eye has `found` features; real: what `of_real` answered.

    of_test: features of the first n test pictures. Memorization, collapse and its own measures, in batches of the training's
    `batch`, are of n pictures; labels are of all samples, where there are any.
    """
    classes, size, features = len(samples.classes), len(of_test), found.features
    seen = through.classes(samples.images, found)
    audit = memorization.read(folder, splits.train.images)
    memory, located = audit.judge(samples.images[:size], features[:size])
    sections: Sections = {
        "memorization": {**memory, **{view: beside(memory[view], real["memorization"][view]) for view in memorization.VIEWS}},
        "collapse": beside(spread.judge(samples.images[:size], seen[:size], classes, real["collapse"]["within"]), real["collapse"]),
        "own": own.judge(method, splits.test, splits.train, size, batch, through.device),
    }
    confusion = pd.DataFrame(columns=["actual", "predicted"])
    table = pd.DataFrame({"class": samples.classes, "count": np.bincount(np.maximum(seen, 0), minlength=classes)[:classes]})
    if method.conditional:
        learned = hits_on_real(samples, splits.test, through.learning(chosen.classifier_images), through.device)
        named, report = labels.judge(samples.labels, seen, learned, classes)
        sections["labels"] = beside(named, real["labels"])
        fids = fid_per_class(of_test, splits.test.labels[:size], features, samples.labels, classes)
        table = pd.concat([table, labels.table(report, fids, real["fid_per_class"], samples.classes).drop(columns="class")], axis=1)
        names = np.array(samples.classes)
        confusion = pd.DataFrame({"actual": names[samples.labels], "predicted": names[seen]})
    return Answer(sections, pd.DataFrame(memorization.closest(audit, located)), table, confusion)


def beside(numbers: dict[str, dict[str, float]], floor: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Each number with its floor, where there is one."""
    return {name: {**number, "floor": floor[name]["value"]} if name in floor else number for name, number in numbers.items()}
