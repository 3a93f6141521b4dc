"""evaluator: trains the classifier that is the feature extractor. Stops if it is inaccurate."""

import sys
from typing import Any

import numpy as np
import pandas as pd

from aigc.core import code, config, files, hashes, paths, process, runtime
from aigc.core.errors import GateError
from aigc.core.runtime import RuntimeConfig
from aigc.data import pictures
from aigc.data.pictures import Pictures
from aigc.evaluation import classification
from aigc.features.classifier import Classifier, ClassifierConfig, EvaluatorConfig
from aigc.metrics.intervals import rounded
from aigc.model.card import write_model
from aigc.model.contract import Shape
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.loop import Trainer

NAME = "evaluator"
# Not in params.yaml: the accuracy is checked instead.
FIXED: dict[str, Any] = {"ema_halflife": 2000.0, "warmup": 0.05, "decay": 0.5}
THRESHOLDS = {"min_accuracy", "outlier"}  # keys that the training does not depend on


def run() -> None:
    settings, switches = config.section(NAME, EvaluatorConfig), config.section("runtime", RuntimeConfig)
    train, test = (pictures.open_folder(paths.PROCESSED / name) for name in ("train", "test"))
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    network, weights_sha256 = train_classifier(train, settings, switches, device)
    actual, predicted, names, doubtful = classification.classify_splits(network, train, test,
                                                                        settings.outlier, device)
    files.write_csv(paths.EVALUATOR_CONFUSION,
                    pd.DataFrame({"actual": np.array(names)[actual],
                                  "predicted": np.array(names)[predicted]}))
    files.write_csv(paths.EVALUATOR_OUTLIERS, classification.doubtful_table(doubtful))
    if doubtful:
        print(f"{NAME}: warning: {len(doubtful)} pictures may have the wrong label; "
              f"{paths.EVALUATOR_OUTLIERS} lists them, the report shows the first", file=sys.stderr)
    accuracy = rounded(float(np.mean(predicted == actual)))
    files.write_json(paths.EVALUATOR_METRICS,
                     {"accuracy": accuracy, "n": len(test), "weights_sha256": weights_sha256})
    if accuracy < settings.min_accuracy:
        raise GateError(f"its accuracy on the test split is {accuracy:.4f}, below evaluator.min_accuracy "
                        f"({settings.min_accuracy}): FID needs better features; raise evaluator.images")


def train_classifier(train: Pictures, settings: EvaluatorConfig, switches: RuntimeConfig,
                     device: runtime.Device) -> tuple[Classifier, str]:
    """The trained classifier, written to models/evaluator, and its weights' sha256. Resumes after a kill."""
    classifier_config = ClassifierConfig(**FIXED, **settings.model_dump(exclude={"seed", *THRESHOLDS}))
    data_sha256 = hashes.array_sha256(train.images)
    fingerprint, identity = code.fingerprint(
        NAME, None, {**settings.model_dump(exclude=THRESHOLDS), **switches.model_dump(),
                     **runtime.device_identity(switches, device)},
        {"images": data_sha256, "labels": hashes.array_sha256(train.labels)})
    lock = paths.training_lock(NAME, fingerprint)
    with process.only_writer(lock):
        checkpoints = Checkpoints(lock.parent, identity)
        checkpoints.start_anew_if_recorded()
        network = Trainer.on(train, NAME, lambda: Classifier(classifier_config, Shape.of(train)),
                             classifier_config,
                             TrainConfig(seed=settings.seed, intervals=10, checkpoints=5), device,
                             checkpoints).fit()
        assert isinstance(network, Classifier)
        card = write_model(paths.EVALUATOR, network, method=NAME, config=classifier_config.model_dump(),
                           shape=vars(network.shape), classes=train.classes, seed=settings.seed,
                           data_sha256=data_sha256, origin=pictures.read_origin(paths.PROCESSED / "train"))
        checkpoints.finish(paths.EVALUATOR / "config.json")
    return network, card.weights_sha256
