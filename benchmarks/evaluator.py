"""The evaluator on the pictures of this project: its accuracy, its CPU seconds, the ruler of its features.

    dvc repro preprocess
    PYTHONPATH=src python benchmarks/evaluator.py [--threads 1] [--images auto] [--samples NAME.npy ...]

It trains the classifier that params.yaml asks for (nothing is written) and measures FID, precision and recall
of the damages of the ruler, at n = 1,000, twice: with all features, and with those of the last layer alone.
--samples: arrays of generated pictures, uint8 (N, C, H, W), measured alike.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from aigc.core import runtime

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--images", type=int, help="length of the training (default: as in params.yaml)")
parser.add_argument("--samples", type=Path, nargs="*", default=[])
N = 1000

if __name__ == "__main__":
    ARGUMENTS = parser.parse_args()
    runtime.cap_environment("portable", ARGUMENTS.threads)

import numpy as np

from aigc.core import config, paths
from aigc.data import pictures
from aigc.data.pictures import Pictures
from aigc.evaluation import ruler_marks
from aigc.features.classifier import Classifier, classify
from aigc.features.contract import PictureStack
from aigc.features.evaluator import EvaluatorConfig, choose
from aigc.metrics import frechet, neighbours, ruler
from aigc.model.contract import Shape
from aigc.training.config import TrainConfig
from aigc.training.loop import Trainer


def trained(train: Pictures, settings: EvaluatorConfig, device: runtime.Device) -> Classifier:
    """The classifier, trained as the stage does it, without checkpoints."""
    shape = Shape.of(train)
    chosen = choose(settings, shape, len(train))
    print(chosen)
    schedule = TrainConfig(seed=settings.seed, intervals=10, checkpoints=5, mirror=chosen.mirror,
                           shift=chosen.shift)
    network = Trainer.on(train, "evaluator", lambda: Classifier(chosen, shape), chosen, schedule,
                         device).fit()
    assert isinstance(network, Classifier)
    return network


def stacks(holdout: Pictures, samples: list[Path], n: int) -> Iterator[tuple[str, PictureStack]]:
    """What is measured: real pictures, damaged ones, samples."""
    yield ruler.TITLES[ruler.UNDAMAGED], holdout.images[:n]
    for name, stack in ruler_marks.damaged(holdout, n, 0):
        yield ruler.TITLES[name], stack
    for path in samples:
        yield path.stem, np.load(path, mmap_mode="r")[:n]


def main(threads: int, images: int | None, samples: list[Path]) -> None:
    device = runtime.start_torch("portable", threads)
    settings = config.section("evaluator", EvaluatorConfig)
    if images:
        settings = settings.model_copy(update={"images": images})
    train, holdout, test = (pictures.open_folder(paths.PROCESSED / name)
                            for name in ("train", "holdout", "test"))
    start = time.process_time()
    network = trained(train, settings, device)
    seconds = time.process_time() - start
    if network.names_classes:
        accuracy = np.mean(classify(network, test.images, device).logits.argmax(1) == test.labels)
        print(f"right on {accuracy:.4f} of {len(test)} test pictures")
    print(f"trained in {seconds:.0f} CPU seconds, {network.config.images / seconds:.0f} pictures/s")
    n = min(N, len(holdout), len(test))
    holdout, test = holdout.spread(n), test.spread(n)
    found = {title: classify(network, stack, device).features.astype(np.float64)
             for title, stack in stacks(holdout, samples, n)}
    reference = classify(network, test.images[:n], device).features.astype(np.float64)
    for kind, columns in (("all features", slice(None)),
                          ("the last layer alone", slice(-network.config.features, None))):
        real = reference[:, columns]
        gaussian, balls = frechet.fit(real), neighbours.knn_balls(real, 3)
        print(f"\n{kind}, d = {real.shape[1]}, n = {n}")
        print(f"{'':28}{'FID':>9}{'/ floor':>9}{'precision':>11}{'recall':>8}")
        floor = 0.0
        for title, features in found.items():
            features = features[:, columns]
            fid = frechet.distance(gaussian, frechet.fit(features))
            floor = floor or fid
            precision = np.mean(neighbours.count_inside(balls, features)[0] > 0)
            recall = neighbours.recall(real, neighbours.knn_balls(features, 3))
            print(f"{title:28}{fid:9.3f}{fid / floor:9.2f}{precision:11.3f}{recall:8.3f}", flush=True)


if __name__ == "__main__":
    main(ARGUMENTS.threads, ARGUMENTS.images, ARGUMENTS.samples)
