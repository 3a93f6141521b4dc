"""evaluator: the classifier through which every method is judged. Too inaccurate a one stops the pipeline."""

import functools
import sys
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from aigc import model
from aigc.core import config, files, paths, process, provenance, runtime
from aigc.core.errors import DataError, GateError
from aigc.data import pictures
from aigc.features.classifier import TURNS, Classifier, ClassifierConfig
from aigc.features.extractor import ROWS, look, see
from aigc.methods.contract import Shape
from aigc.metrics.intervals import rounded
from aigc.metrics.outliers import outliers
from aigc.networks.blocks import as_model_space
from aigc.training.checkpoint import Checkpoints
from aigc.training.feed import Feed
from aigc.training.loop import Trainer

NAME = "evaluator"
FIXED: dict[str, Any] = {"ema_halflife": 2000.0, "warmup": 0.05, "decay": 0.5}  # of no interest to turn: it only has to be good enough


def run() -> None:
    chosen, switches = config.section(NAME, config.Evaluator), config.section("runtime", config.Runtime)
    train, test = pictures.open_folder(paths.PROCESSED / "train"), pictures.open_folder(paths.PROCESSED / "test")
    if len(train.classes) > 1 and (train.labels < 0).any():
        raise DataError(f"{paths.PROCESSED / 'train'}: {(train.labels < 0).sum()} of {len(train)} pictures have no label; label all or none")
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
    splits = {"train": train, "test": test}
    if network.names_classes:
        logits = {name: see(network, split.images, device).logits for name, split in splits.items()}
        asked, predicted, names = test.labels, logits["test"].argmax(1), test.classes
    else:
        logits = {}
        asked, predicted, names = answers_on_turned(network, test, device)
    files.write_csv(paths.EVALUATOR_CONFUSION, pd.DataFrame({"actual": np.array(names)[asked], "predicted": np.array(names)[predicted]}))
    doubtful = mislabelled(logits, splits, chosen.outlier)
    files.write_csv(paths.EVALUATOR_OUTLIERS, doubtful)
    if len(doubtful):
        print(f"{NAME}: warning: {len(doubtful)} pictures may bear the wrong label; {paths.EVALUATOR_OUTLIERS} lists them, the report "
              "shows the first", file=sys.stderr)
    accuracy = rounded(float(np.mean(predicted == asked)))
    files.write_json(paths.EVALUATOR_METRICS, {"accuracy": accuracy, "n": len(test), "weights_sha256": card.weights_sha256})
    if accuracy < chosen.min_accuracy:
        raise GateError(f"its accuracy on the test split is {accuracy:.4f}, below evaluator.min_accuracy "
                        f"({chosen.min_accuracy}): a FID on bad features is worthless; raise evaluator.images")


def answers_on_turned(network: Classifier, test: pictures.Pictures, device: runtime.Device) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Of every test picture in all its turns: the turn, the turn that the network sees, int (4 n,) each, and the turns' names."""
    def under(turn: int, chunk: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = network(as_model_space(chunk.rot90(turn, (2, 3))))
        return features, logits

    found = [look(functools.partial(under, turn), test.images, device, ROWS) for turn in range(TURNS)]
    return (np.arange(TURNS).repeat(len(test)), np.concatenate([seen.logits.argmax(1) for seen in found]),
            [f"{90 * turn} degrees" for turn in range(TURNS)])


def mislabelled(logits: dict[str, np.ndarray], splits: dict[str, pictures.Pictures], most: float) -> pd.DataFrame:
    """The pictures whose own class the evaluator gives a confidence of `most` or less, least first: split, row in it, class, class
    seen, confidence. logits: (n, classes) for each split that it has logits of."""
    found = [{"split": name, "row": int(row), "class": splits[name].classes[splits[name].labels[row]],
              "seen_as": splits[name].classes[seen[row].argmax()], "confidence": rounded(float(confidence))}
             for name, seen in logits.items() for row, confidence in zip(*outliers(seen, splits[name].labels, most), strict=True)]
    return pd.DataFrame(found, columns=["split", "row", "class", "seen_as", "confidence"]).sort_values("confidence", kind="stable")
