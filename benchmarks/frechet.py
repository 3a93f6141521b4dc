"""FID from features, n = 10,000 and d = 2,048: ours against pytorch-fid, clean-fid and torch-fidelity.

    pip install --no-deps pytorch-fid clean-fid torch-fidelity    # the peers; nothing else needs them
    PYTHONPATH=src python benchmarks/frechet.py [--repeats 3] [--part trace]

`trace` is the trace term alone, from covariances: clean-fid's is pytorch-fid's. Every way runs in a process of its own on the same
features, so that peak memory is its own; ratios of medians are what counts, since other work on the machine slows all alike.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

N, D = 10_000, 2_048
CONDITION = 1e6  # of the covariances: a spectrum that falls, as that of real features does


def features(folder: Path) -> None:
    """Two sets with falling spectra in rotated axes, float64, on disk."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(D, D)))[0]
    scales = np.logspace(0, -np.log10(CONDITION) / 2, D)
    for name, stretch in (("real", 1.0), ("fake", 1.1)):
        np.save(folder / f"{name}.npy", (rng.normal(size=(N, D)) * scales * stretch) @ axes)


def our_trace(sx: np.ndarray, sy: np.ndarray) -> float:
    from scipy import linalg

    from aigc.metrics import frechet

    roots = [linalg.cholesky(s, check_finite=False) for s in (sx, sy)]
    return frechet.nuclear_norm(roots[0], roots[1], frechet.TOLERANCE * float(np.trace(sx) + np.trace(sy)))


def our_whole(x: np.ndarray, y: np.ndarray) -> float:
    from aigc.metrics import frechet

    return frechet.fid(x, y)


def square_root_trace(sx: np.ndarray, sy: np.ndarray) -> float:
    """pytorch-fid's and clean-fid's."""
    from scipy import linalg

    return float(np.trace(linalg.sqrtm(sx.dot(sy)).real))


def eigenvalues_trace(sx: np.ndarray, sy: np.ndarray) -> float:
    """torch-fidelity's; the product is not symmetric."""
    return float(np.sqrt(np.linalg.eigvals(sx.dot(sy)).astype(complex)).real.sum())


def pytorch_fid_whole(x: np.ndarray, y: np.ndarray) -> float:
    from pytorch_fid.fid_score import calculate_frechet_distance

    return float(calculate_frechet_distance(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False)))


def clean_fid_whole(x: np.ndarray, y: np.ndarray) -> float:
    from cleanfid.fid import frechet_distance

    return float(frechet_distance(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False)))


def torch_fidelity_whole(x: np.ndarray, y: np.ndarray) -> float:
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    sides = [fid_features_to_statistics(torch.from_numpy(side)) for side in (x, y)]
    return float(fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"])


Way = Callable[[np.ndarray, np.ndarray], float]
WAYS: dict[str, dict[str, Way]] = {
    "trace": {"aigc": our_trace, "pytorch-fid": square_root_trace, "torch-fidelity": eigenvalues_trace},
    "whole": {"aigc": our_whole, "pytorch-fid": pytorch_fid_whole, "clean-fid": clean_fid_whole, "torch-fidelity": torch_fidelity_whole},
}


def one(way: str, part: str, folder: Path) -> None:
    """Time one part of one way, in this process: prints seconds, value and what its peak memory adds, as JSON."""
    x, y = np.load(folder / "real.npy"), np.load(folder / "fake.npy")
    work = WAYS[part][way]
    work(x[:50, :4].copy(), y[:50, :4].copy()) if part == "whole" else work(np.eye(3), np.eye(3))  # imports are not what is measured
    if part == "trace":
        x, y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    value = work(x, y)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "value": value, "mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--part", choices=["trace", "whole"], nargs="*", default=["trace", "whole"])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one[0], arguments.one[1], Path(arguments.one[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        features(Path(folder))
        for part in arguments.part:
            runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS[part]}
            for _ in range(arguments.repeats):
                for way in WAYS[part]:
                    done = subprocess.run([sys.executable, __file__, "--one", way, part, folder], stdout=subprocess.PIPE, check=True)
                    runs[way].append(json.loads(done.stdout.splitlines()[-1]))
            own = statistics.median(run["seconds"] for run in runs["aigc"])
            for way, found in runs.items():  # memory says little of `trace`, whose input took more to make
                seconds = statistics.median(run["seconds"] for run in found)
                print(f"{part:<6}{way:<16}{seconds:8.2f} s{seconds / own:8.1f} x{max(run['mib'] for run in found):8.0f} MiB more"
                      f"   {found[0]['value']:.10g}", flush=True)


if __name__ == "__main__":
    main()
