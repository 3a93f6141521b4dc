"""evaluator: trains the classifier that is the feature extractor. Stops if it is inaccurate."""

import sys

import numpy as np
import pandas as pd

from aigc.core import code, config, files, hashes, paths, process, runtime
from aigc.core.errors import GateError
from aigc.core.runtime import RuntimeConfig
from aigc.data import pictures
from aigc.data.pictures import Pictures
from aigc.evaluation import classification
from aigc.features.classifier import Classifier
from aigc.features.evaluator import EvaluatorConfig, choose, least_accuracy
from aigc.metrics.intervals import rounded
from aigc.model.card import write_model
from aigc.model.contract import Shape
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.loop import Trainer

NAME = "evaluator"
CHOSEN = ("images", "width", "features", "mirror", "shift")  # keys that may be `auto`
THRESHOLDS = {"min_accuracy", "outlier"}  # keys that the training does not depend on


def run() -> None:
    settings, switches = config.section(NAME, EvaluatorConfig), config.section("runtime", RuntimeConfig)
    train, test = (pictures.open_folder(paths.PROCESSED / name) for name in ("train", "test"))
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    network, weights_sha256, checkpoints = train_classifier(train, settings, switches, device)
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
    checkpoints.finish(paths.EVALUATOR_METRICS)  # a file that dvc.lock names
    least = least_accuracy(settings, actual, network.names_classes)
    print(f"{NAME}: right on {accuracy:.4f} of the test split (at least {least:.4f}); "
          + ", ".join(f"{name} {getattr(network.config, name)}" for name in CHOSEN))
    if accuracy < least:
        raise GateError(f"its accuracy on the test split is {accuracy:.4f}, below evaluator.min_accuracy "
                        f"({least:.4f}): FID needs better features; raise evaluator.images or "
                        "evaluator.width")


def train_classifier(train: Pictures, settings: EvaluatorConfig, switches: RuntimeConfig,
                     device: runtime.Device) -> tuple[Classifier, str, Checkpoints]:
    """The trained classifier, written to models/evaluator, its weights' sha256, and its checkpoints.

    Resumes after a kill.
    """
    shape = Shape.of(train)
    chosen = choose(settings, shape, len(train))
    data_sha256 = hashes.array_sha256(train.images)
    fingerprint, identity = code.fingerprint(
        NAME, None, {**settings.model_dump(exclude=THRESHOLDS), **switches.model_dump(),
                     **runtime.device_identity(switches, device)},
        {"images": data_sha256, "labels": hashes.array_sha256(train.labels)})
    lock = paths.training_lock(NAME, fingerprint)
    with process.only_writer(lock):
        checkpoints = Checkpoints(lock.parent, identity)
        checkpoints.start_anew_if_recorded()
        network = Trainer.on(train, NAME, lambda: Classifier(chosen, shape), chosen,
                             TrainConfig(seed=settings.seed, intervals=10, checkpoints=5,
                                         mirror=chosen.mirror, shift=chosen.shift), device,
                             checkpoints).fit()
        assert isinstance(network, Classifier)
        card = write_model(paths.EVALUATOR, network, method=NAME, config=chosen.model_dump(),
                           shape=vars(network.shape), classes=train.classes, seed=settings.seed,
                           data_sha256=data_sha256, origin=pictures.read_origin(paths.PROCESSED / "train"))
    return network, card.weights_sha256, checkpoints
