"""The stages that several processes share: the bytes of one process."""

import hashlib
import shutil
import sys
from pathlib import Path

import pytest
import torch

from aigc.core.sharing import DEVICES
from aigc.features.classifier import Classifier, ClassifierConfig
from aigc.model.card import write_model
from aigc.model.contract import Shape
from projects import run_in
from small import small_model
from stores import CODE

PROGRAM = """
from aigc.core import runtime, sharing

def found():
    import numpy as np
    from aigc.evaluation import device_pairs
    from aigc.features.extractor import ClassifierExtractor
    from aigc.metrics import arrays, kernel, memorization, neighbours
    from aigc.model import sampling
    from aigc.stages.generate import Sampler

    arrays.BLOCK_ELEMENTS = 1 << 15  # several blocks of rows
    device = runtime.start_torch("portable", 1)
    device_pairs.use(device)
    images = np.random.default_rng(0).integers(0, 256, (600, 1, 16, 16), np.uint8)
    sampler = Sampler("gan", device, 3, 0.9)
    yield from sharing.in_order(sampler.draw, sampling.parts(sampler.generator, 600))
    features = ClassifierExtractor(device).extract(images)
    yield from (features.features, features.logits)
    training = memorization.TrainingPoints.of(memorization.as_points(images[200:]))
    yield from vars(training).values()
    yield from vars(memorization.find_nearest_augmented(images[:200], training)).values()
    yield from vars(memorization.find_nearest(memorization.as_points(images[:200]), training)).values()
    x, y = features.features[:300].astype(float), features.features[300:].astype(float)
    yield from neighbours.count_inside(neighbours.knn_balls(x, 3), y)
    yield from map(np.array, vars(kernel.kid(x, y)).values())

if __name__ == "__main__":
    runtime.cap_environment("portable", 1)
    with sharing.processes(3, "portable", 1):
        shared = list(found())
    alone = list(found())
    assert len(shared) == len(alone) > 15
    for one, other in zip(shared, alone, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
"""
SHARED = (["reference"], ["generate", "gan"], ["evaluate", "gan"])


def test_samples_features_and_neighbours_of_three_processes_are_those_of_one(tmp_path: Path) -> None:
    shape = Shape(1, 16, 3)
    settings = ClassifierConfig(images=1, batch_size=1, ema_halflife=1.0, warmup=0.0, decay=0.0,
                                learning_rate=0.1, width=4, features=8)
    small_model(tmp_path / "models", "gan")
    torch.manual_seed(0)
    write_model(tmp_path / "models/evaluator", Classifier(settings, shape), method="evaluator",
                config=settings.model_dump(), shape=vars(shape), classes=["a", "b", "c"], seed=0,
                data_sha256="", origin={})
    (tmp_path / "program.py").write_text(PROGRAM)
    run_in(tmp_path, sys.executable, "program.py", **CODE)


def outs(project: Path) -> dict[str, str]:
    names = ("data/generated", "models/reference", "reports")
    return {str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()
            for name in names for path in (project / name).rglob("*") if path.is_file()}


@pytest.mark.slow
def test_the_stages_make_the_same_outs_by_three_processes(project: Path) -> None:
    expected = outs(project)
    for name in ("data/generated/gan", "models/reference"):
        shutil.rmtree(project / name)
    for name in ("reference", "gan"):
        (project / f"reports/metrics/{name}.json").unlink()
    for stage in SHARED:
        run_in(project, sys.executable, "-m", "aigc.stages", *stage, PYTHONPATH="src", **{DEVICES: "3"})
    assert outs(project) == expected and len(expected) > 20
