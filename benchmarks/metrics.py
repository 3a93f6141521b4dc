"""What each metric costs on large sets of features: seconds, and the memory that it adds to the features themselves.

    PYTHONPATH=src python benchmarks/metrics.py [--count 50000] [--dimensions 2048] [--metrics fid kid …]

Real and generated features are float64 (count, dimensions); every metric runs in a process of its own, so that its peak is
its own. A matrix of all distances at 50,000 would take 19 GiB, which no metric may hold.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Work = Callable[[np.ndarray, np.ndarray], float]


def metrics() -> dict[str, Work]:
    """Each as a function of real and generated features."""
    from aigc.metrics import frechet, kernel, neighbours

    return {
        "fid": frechet.fid,
        "fid_infinity": lambda real, fake: frechet.fid_infinity(frechet.fit(real), fake, 0),
        "kid": lambda real, fake: kernel.kid(real, fake).value,
        "precision": lambda real, fake: neighbours.precision(neighbours.knn_balls(real, 3), fake),
        "recall": lambda real, fake: neighbours.recall(real, neighbours.knn_balls(fake, 3)),
        "density": lambda real, fake: neighbours.density(neighbours.knn_balls(real, 5), fake),
        "coverage": lambda real, fake: neighbours.coverage(neighbours.knn_balls(real, 5), fake),
    }


def one(name: str, folder: Path) -> None:
    """One metric in this process: prints seconds, value and the peak of what it added, as JSON."""
    work = metrics()[name]
    real, fake = (np.load(folder / f"{side}.npy") for side in ("real", "fake"))
    work(real[:200, :8].copy(), fake[:200, :8].copy())  # imports are not what is measured
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    value = work(real, fake)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "value": value, "mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000, help="features a side (default 50000)")
    parser.add_argument("--dimensions", type=int, default=2048, help="of a feature (default 2048)")
    parser.add_argument("--metrics", nargs="+", default=list(metrics()), choices=list(metrics()), help="default: all")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one[0], Path(given.one[1]))
        return
    with tempfile.TemporaryDirectory(prefix="aigc-bench-") as folder:
        rng = np.random.default_rng(0)
        for side, stretch in (("real", 1.0), ("fake", 1.1)):
            np.save(Path(folder) / f"{side}.npy", rng.normal(size=(given.count, given.dimensions)) * stretch)
        both = 2 * 8 * given.count * given.dimensions / 2**20
        print(f"{given.count} x {given.dimensions} a side, {both:.0f} MiB")
        for name in given.metrics:
            done = subprocess.run([sys.executable, __file__, "--one", name, folder], stdout=subprocess.PIPE, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            print(f"{name:<14}{found['seconds']:8.1f} s{found['mib']:8.0f} MiB more ({found['mib'] / both:.2f} of the features)   "
                  f"{found['value']:.6g}", flush=True)


if __name__ == "__main__":
    main()
