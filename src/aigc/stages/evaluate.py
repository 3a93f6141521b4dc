"""evaluate: the numbers of one method's samples, each with its interval, its floor, its ceiling and its protocol."""

import numpy as np
import pandas as pd

from aigc import model
from aigc.core import config, files, paths, runtime
from aigc.core.errors import StorageError
from aigc.data import pictures
from aigc.evaluation import fidelity
from aigc.features.extractor import Extractor, open_eye
from aigc.metrics.intervals import Number
from aigc.tracking import runs


def run(method: str) -> None:
    chosen, switches = config.section("evaluate", config.Evaluate), config.section("runtime", config.Runtime)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    classifier = Extractor(device)
    eye = classifier if chosen.extractor == "classifier" else open_eye(chosen, device)
    reference = files.read_json(paths.REFERENCE_METRICS)
    if eye.sha256 != reference["protocol"]["extractor_sha256"]:
        known = reference["protocol"]["extractor_sha256"]
        raise StorageError(f"{paths.REFERENCE_METRICS}: made through the extractor {known[:16]}, this is "
                           f"{eye.sha256[:16]}; numbers through two extractors are not comparable: run `dvc repro reference`")
    samples = pictures.open_folder(paths.generated(method))
    seen = fidelity.look(eye, samples.images, str(paths.generated(method)), chosen.sample_size)
    numbers = fidelity.measure(fidelity.read(paths.REFERENCE, chosen), seen, chosen)
    beside = {name: {**number, "floor": reference["floor"][name]["value"], "ceiling": reference["ceiling"][name]["value"]}
              for name, number in numbers.items()}
    protocol = {**reference["protocol"], "samples": len(samples), "samples_sha256": files.sha256(paths.generated(method) / "images.npy")}
    logits = seen.logits if eye is classifier else classifier.see(samples.images).logits
    write_classes(method, logits.argmax(1), samples.classes)
    files.write_json(paths.metrics(method), {**beside, "protocol": protocol})
    remember(method, beside)


def write_classes(method: str, predicted: np.ndarray, classes: list[str]) -> None:
    """How often the evaluator sees each class among the samples."""
    table = pd.DataFrame({"class": classes, "count": np.bincount(predicted, minlength=len(classes))})
    with files.replacing(paths.classes(method)) as temporary:
        table.to_csv(temporary, index=False)


def remember(method: str, numbers: dict[str, Number]) -> None:
    """Add the numbers, flat (fid, fid_low, fid_high, ...), to the MLflow run that trained the model."""
    flat = {name if part == "value" else f"{name}_{part}": value
            for name, number in numbers.items() for part, value in number.items()}
    card = model.read_card(paths.model(method))
    if not runs.add_metrics(card.weights_sha256, flat, [paths.metrics(method), paths.grid(method)]):
        print(f"{method}: the MLflow store has no run of these weights (DVC restored them from its cache); "
              f"`dvc repro -f -s train@{method} evaluate@{method}` makes one")
