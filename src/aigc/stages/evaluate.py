"""evaluate: the numbers of one method's samples, each with its interval, its floor and its protocol."""

import numpy as np
import pandas as pd

from aigc import model
from aigc.core import config, files, paths, runtime
from aigc.data import pictures
from aigc.features.extractor import Extractor
from aigc.metrics import frechet, intervals
from aigc.metrics.inception_score import inception_score
from aigc.tracking import runs


def run(method: str) -> None:
    chosen, switches = config.section("evaluate", config.Evaluate), config.section("runtime", config.Runtime)
    extractor = Extractor(runtime.start_torch(switches.arithmetic, switches.threads))
    samples = pictures.open_folder(paths.generated(method))
    seen = extractor.see(samples.images)
    real = frechet.fit(files.map_npy(paths.REFERENCE / "test_features.npy"))
    reference = files.read_json(paths.REFERENCE_METRICS)

    size = chosen.sample_size
    numbers = {
        "fid": intervals.over_blocks(lambda block: frechet.distance(real, frechet.fit(block)), seen.features, size),
        "is": intervals.over_blocks(inception_score, seen.logits, size),
    }
    for name, number in numbers.items():
        number["floor"] = reference["floor"][name]
    protocol = {**reference["protocol"], "samples": len(samples), "samples_sha256": files.sha256(paths.generated(method) / "images.npy"),
                "interval": f"95%, Student's over {len(samples) // size} disjoint blocks of n samples"}
    write_classes(method, seen.logits.argmax(1), samples.classes)
    files.write_json(paths.metrics(method), {**numbers, "protocol": protocol})
    remember(method, numbers)


def write_classes(method: str, predicted: np.ndarray, classes: list[str]) -> None:
    """How often the evaluator sees each class among the samples."""
    table = pd.DataFrame({"class": classes, "count": np.bincount(predicted, minlength=len(classes))})
    with files.replacing(paths.classes(method)) as temporary:
        table.to_csv(temporary, index=False)


def remember(method: str, numbers: dict[str, dict[str, float]]) -> None:
    """Add the numbers, flat, to the MLflow run that trained the model."""
    flat = {name if part == "value" else f"{name}_{part}": value
            for name, number in numbers.items() for part, value in number.items()}
    card = model.read_card(paths.model(method))
    if not runs.add_metrics(card.weights_sha256, flat, [paths.metrics(method), paths.grid(method)]):
        print(f"{method}: the MLflow store has no run of these weights (DVC restored them from its cache); "
              f"`dvc repro -f -s train@{method} evaluate@{method}` makes one")
