"""The steps of the flow's solver against FID and CPU time.

    PYTHONPATH=src python benchmarks/sampling.py [--solvers midpoint euler] [--steps 4 6 …]

Samples the trained models/flow, all from the same seed, and measures FID by models/evaluator against the test
pictures: the mean over blocks of as many samples as there are test pictures.
"""

import argparse
import time

from aigc.core import runtime

runtime.cap_environment("portable", 1)

import numpy as np

from aigc import methods
from aigc.core import paths
from aigc.data import pictures
from aigc.features.extractor import ClassifierExtractor
from aigc.metrics import frechet
from aigc.model import sampling


def main(solvers: list[str], steps: list[int], count: int) -> None:
    device = runtime.start_torch("portable", 1)
    extractor = ClassifierExtractor(device)
    test = pictures.open_folder(paths.PROCESSED / "test").images
    real = frechet.fit(extractor.extract(test).features.astype(np.float64))
    blocks = max(1, count // len(test))
    print(f"FID is the mean over {blocks} blocks of {len(test)} samples\n")
    print("| solver | steps | FID | pictures per CPU second |\n|---|---|---|---|")
    for solver in solvers:
        for number in steps:
            model, _ = methods.load(paths.model("flow"), device, {"steps": str(number), "solver": solver})
            started = time.process_time()
            images = np.concatenate([block.numpy() for block in
                                     sampling.blocks(model, 0, blocks * len(test))])
            seconds = time.process_time() - started
            features = extractor.extract(images).features.astype(np.float64)
            fids = [frechet.distance(real, frechet.fit(block)) for block in np.split(features, blocks)]
            print(f"| {solver} | {number} | {np.mean(fids):.2f} | {len(images) / seconds:.0f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--solvers", nargs="+", default=["midpoint", "euler"],
                        choices=["euler", "midpoint", "heun"])
    parser.add_argument("--steps", nargs="+", type=int, default=[4, 6, 8, 16, 32])
    parser.add_argument("--count", type=int, default=3000, help="samples of each row (default 3000)")
    asked = parser.parse_args()
    main(asked.solvers, asked.steps, asked.count)
