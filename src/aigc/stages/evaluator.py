"""evaluator: the classifier through which every method is judged. Too inaccurate a one stops the pipeline."""

from typing import Any

import numpy as np
import pandas as pd

from aigc import model
from aigc.core import config, files, paths, process, provenance, runtime
from aigc.core.errors import DataError, GateError
from aigc.data import pictures
from aigc.features.classifier import Classifier, ClassifierConfig
from aigc.features.extractor import see
from aigc.methods.contract import Shape
from aigc.metrics.intervals import rounded
from aigc.training.checkpoint import Checkpoints
from aigc.training.feed import Feed
from aigc.training.loop import Trainer

NAME = "evaluator"
FIXED: dict[str, Any] = {"ema_halflife": 2000.0, "warmup": 0.05, "decay": 0.5}  # of no interest to turn: it only has to be good enough


def run() -> None:
    chosen, switches = config.section(NAME, config.Evaluator), config.section("runtime", config.Runtime)
    train, test = pictures.open_folder(paths.PROCESSED / "train"), pictures.open_folder(paths.PROCESSED / "test")
    if (train.labels < 0).any() or len(train.classes) < 2:
        raise DataError(f"{paths.PROCESSED / 'train'}: a classifier needs labels of at least two classes")
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    learning = ClassifierConfig(**FIXED, **chosen.model_dump(exclude={"seed", "min_accuracy"}))
    shape = Shape(train.images.shape[1], train.images.shape[2], len(train.classes))
    data_sha256 = provenance.array_sha256(train.images)
    fingerprint, identity = provenance.fingerprint({**chosen.model_dump(exclude={"min_accuracy"}), **switches.model_dump()},
                                                    {"images": data_sha256, "labels": provenance.array_sha256(train.labels)})
    folder = paths.CHECKPOINTS / f"{NAME}-{fingerprint[:16]}"
    with process.only_writer(folder / "lock"):
        trainer = Trainer(NAME, lambda: Classifier(learning, shape), Feed(train.images, train.labels, chosen.seed, device),
                          learning, config.Train(seed=chosen.seed, intervals=10, checkpoints=5), device,
                          Checkpoints(folder, identity))
        network = trainer.fit()
    card = model.write(paths.EVALUATOR, network, method=NAME, config=learning.model_dump(), shape=vars(shape),
                       classes=train.classes, seed=chosen.seed, data_sha256=data_sha256,
                       origin=pictures.read_origin(paths.PROCESSED / "train"))
    assert isinstance(network, Classifier)
    predicted = see(network, test.images, device).logits.argmax(1)
    _write_confusion(test, predicted)
    accuracy = rounded(float(np.mean(predicted == test.labels)))
    files.write_json(paths.EVALUATOR_METRICS, {"accuracy": accuracy, "n": len(test), "weights_sha256": card.weights_sha256})
    if accuracy < chosen.min_accuracy:
        raise GateError(f"its accuracy on the test split is {accuracy:.4f}, below evaluator.min_accuracy "
                        f"({chosen.min_accuracy}): a FID on bad features is worthless; raise evaluator.images")


def _write_confusion(test: pictures.Pictures, predicted: np.ndarray) -> None:
    names = np.array(test.classes)
    table = pd.DataFrame({"actual": names[test.labels], "predicted": names[predicted]})
    with files.replacing(paths.EVALUATOR_CONFUSION) as temporary:
        table.to_csv(temporary, index=False)
