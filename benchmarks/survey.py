"""The memorization audit of very many training pictures, as a survey: seconds, memory, and what it misses.

    PYTHONPATH=src python benchmarks/survey.py --pictures 1000000
    PYTHONPATH=src python benchmarks/survey.py --images data/processed/train/images.npy --sample 1000

The first makes pictures as benchmarks/growth_of_data.py does. The second takes real ones, and compares with
the exact search: of 500 copies of each kind, how many are found; of 500 pictures that are left out of the
training pictures, for how many the survey names the nearest one; and the CPU seconds of both searches.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from aigc.evaluation import memorization_audit
from aigc.evaluation.config import AuditConfig
from aigc.metrics import controls, memorization
from growth_of_data import CLASSES, SIDE

ROWS, COUNT = 10_000, 500
LIMITS = {"classifier_images": 1, "near_duplicate": 0.01, "max_near_duplicates": 0.05}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pictures", type=int, default=100_000, help="how many to make (default 100000)")
    parser.add_argument("--images", type=Path, help="a .npy of real pictures, uint8 (N, C, H, W)")
    parser.add_argument("--sample", type=int, default=25_000, help="audit.survey (default 25000)")
    arguments = parser.parse_args()
    if arguments.images:
        against_exact(np.load(arguments.images, mmap_mode="r"), arguments.sample)
    else:
        whole_audit(arguments.pictures, AuditConfig(survey=arguments.sample, **LIMITS))


def made(count: int, seed: int) -> np.ndarray:
    """Noise of 2 x 2 pixels on the colour of a class."""
    rng = np.random.default_rng(seed)
    colours = np.random.default_rng(0).integers(0, 200, (CLASSES, 3, 1, 1), dtype=np.uint8)
    noise = rng.integers(0, 56, (count, 3, SIDE // 2, SIDE // 2), dtype=np.uint8)
    return colours[rng.integers(0, CLASSES, count)] + noise.repeat(2, 2).repeat(2, 3)


def features(images: np.ndarray) -> np.ndarray:
    """Means of 8 x 8 pixels: the audit asks nothing of features but that they are numbers."""
    blocks = images.reshape(len(images), 3, SIDE // 8, 8, SIDE // 8, 8)
    return blocks.mean((3, 5), dtype=np.float32).reshape(len(images), -1)


def whole_audit(count: int, limits: AuditConfig) -> None:
    with tempfile.TemporaryDirectory(prefix="aigc-survey-") as folder:
        train = np.lib.format.open_memmap(f"{folder}/train.npy", "w+", np.uint8, (count, 3, SIDE, SIDE))
        for start in tqdm(range(0, count, ROWS), desc="pictures", unit_scale=ROWS, disable=None):
            train[start:start + ROWS] = made(min(ROWS, count - start), 1 + start)
        train.flush()
        test, holdout = made(1000, 2), made(1000, 3)
        started = time.monotonic()
        rows = memorization_audit.sampled(count, limits)
        seen = train if rows is None else train[rows]
        audit = memorization_audit.prepare_audit(train, features(seen), test, features(test), limits)
        memorization_audit.write(Path(folder), audit)
        print(f"prepared in {time.monotonic() - started:.0f} s", flush=True)
        started = time.monotonic()
        copies = {name: (images, features(images))
                  for name, images in memorization_audit.copycats(train).items()}
        found = memorization_audit.measure_controls(audit, copies, (holdout, features(holdout)))
        shares = {name: numbers["pixels"]["near_duplicates"]["value"] for name, numbers in found.items()}
        print(f"controls in {time.monotonic() - started:.0f} s; near-duplicates {shares}", flush=True)
        started = time.monotonic()
        memorization_audit.read(Path(folder), train).measure(holdout, features(holdout))
        print(f"1,000 samples of a method in {time.monotonic() - started:.0f} s; peak of the memory "
              f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, mapped files included")


def against_exact(images: np.ndarray, sample: int) -> None:
    order = np.random.default_rng(0).permutation(len(images))
    new, train = np.asarray(images[np.sort(order[:COUNT])]), np.asarray(images[np.sort(order[COUNT:])])
    points = memorization.as_points(train)
    exact = memorization.TrainingPoints(points, points[:, 0], points[:, 0])  # nothing is asked of densities
    rows = np.sort(np.random.default_rng(1).permutation(len(train))[:sample])
    survey = memorization.Survey.of(train, rows)
    searches = []
    for known in (exact, survey):
        started = time.process_time()
        searches.append((memorization.find_nearest_augmented(new, known), time.process_time() - started))
    (truth, slow), (found, quick) = searches
    print(f"{len(train)} training pictures, {COUNT} new ones: CPU seconds {slow:.1f} exact, {quick:.1f} "
          f"survey; the nearest one is named for {np.mean(found.index == truth.index):.0%}, median ratio of "
          f"distances {np.median(found.distance / truth.distance):.3f}")
    for kind in controls.COPYCATS:
        copies = controls.copycat(train, COUNT, kind, np.random.default_rng(2))
        originals = np.sort(np.random.default_rng(2).permutation(len(train))[:COUNT])
        hits = [np.mean(memorization.find_nearest_augmented(copies, known).index == originals)
                for known in (exact, survey)]
        print(f"copies by {kind}: {hits[0]:.1%} found by the exact search, {hits[1]:.1%} by the survey")


if __name__ == "__main__":
    main()
