"""evaluator: the classifier through which every method is judged. Too inaccurate a one stops the pipeline."""

import sys
from typing import Any

import numpy as np
import pandas as pd

from aigc import model
from aigc.core import config, files, paths, process, provenance, runtime
from aigc.core.errors import GateError
from aigc.data import pictures
from aigc.features import answers
from aigc.features.classifier import TURNS, Classifier, ClassifierConfig
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
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    learning = ClassifierConfig(**FIXED, **chosen.model_dump(exclude={"seed", "min_accuracy", "outlier"}))
    shape = Shape(train.images.shape[1], train.images.shape[2], len(train.classes))
    data_sha256 = provenance.array_sha256(train.images)
    fingerprint, identity = provenance.fingerprint({**chosen.model_dump(exclude={"min_accuracy", "outlier"}), **switches.model_dump()},
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
    doubtful: list[dict[str, Any]] = []
    if network.names_classes:
        asked, names = test.labels, test.classes
        predicted, doubtful = answers.on_classes(network, test, "test", chosen.outlier, device)
        doubtful += answers.on_classes(network, train, "train", chosen.outlier, device)[1]
    else:
        asked, predicted = answers.on_turns(network, test.images, device)
        names = [f"{90 * turn} degrees" for turn in range(TURNS)]
    files.write_csv(paths.EVALUATOR_CONFUSION, pd.DataFrame({"actual": np.array(names)[asked], "predicted": np.array(names)[predicted]}))
    files.write_csv(paths.EVALUATOR_OUTLIERS, answers.table(doubtful))
    if len(doubtful):
        print(f"{NAME}: warning: {len(doubtful)} pictures may bear the wrong label; {paths.EVALUATOR_OUTLIERS} lists them, the report "
              "shows the first", file=sys.stderr)
    accuracy = rounded(float(np.mean(predicted == asked)))
    files.write_json(paths.EVALUATOR_METRICS, {"accuracy": accuracy, "n": len(test), "weights_sha256": card.weights_sha256})
    if accuracy < chosen.min_accuracy:
        raise GateError(f"its accuracy on the test split is {accuracy:.4f}, below evaluator.min_accuracy "
                        f"({chosen.min_accuracy}): a FID on bad features is worthless; raise evaluator.images")
