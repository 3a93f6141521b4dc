"""Measure what each metric costs on large sets of features: seconds, and memory beyond the features.

    PYTHONPATH=src python benchmarks/metrics.py [--count 50000] [--dimensions 2048] [--metrics fid kid …]

Real and generated features are float64 (count, dimensions). Each metric runs in a separate process, so that
its peak memory is measured alone. No metric may hold the matrix of all distances: at 50,000 features it takes
19 GiB.
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
    """Each metric as a function of real and generated features."""
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
    """Run one metric here; print seconds, value and added peak memory as JSON."""
    work = metrics()[name]
    real, fake = (np.load(folder / f"{side}.npy") for side in ("real", "fake"))
    # A small first call, so that the imports are not measured.
    work(real[:200, :8].copy(), fake[:200, :8].copy())
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    value = work(real, fake)
    seconds = time.perf_counter() - started
    added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"seconds": seconds, "value": value, "mib": added / 1024}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000, help="features per set (default 50000)")
    parser.add_argument("--dimensions", type=int, default=2048, help="dimensions of a feature (default 2048)")
    parser.add_argument("--metrics", nargs="+", default=list(metrics()), choices=list(metrics()),
                        help="default: all")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one[0], Path(arguments.one[1]))
        return
    with tempfile.TemporaryDirectory(prefix="aigc-bench-") as folder:
        rng = np.random.default_rng(0)
        for side, stretch in (("real", 1.0), ("fake", 1.1)):
            features = rng.normal(size=(arguments.count, arguments.dimensions)) * stretch
            np.save(Path(folder) / f"{side}.npy", features)
        both = 2 * 8 * arguments.count * arguments.dimensions / 2**20
        print(f"{arguments.count} x {arguments.dimensions} per set, {both:.0f} MiB")
        for name in arguments.metrics:
            done = subprocess.run([sys.executable, __file__, "--one", name, folder],
                                  stdout=subprocess.PIPE, check=True)
            result = json.loads(done.stdout.splitlines()[-1])
            print(f"{name:<14}{result['seconds']:8.1f} s{result['mib']:8.0f} MiB more "
                  f"({result['mib'] / both:.2f} of the features)   {result['value']:.6g}", flush=True)


if __name__ == "__main__":
    main()
