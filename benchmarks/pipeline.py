"""Measure a whole run: wall time, share of training, peak memory of each stage, a no-op run, and `--help`.

    make bench        (or: python benchmarks/pipeline.py [--repeat-noop N])

Runs `dvc repro --force` in a clean clone of HEAD, samples the memory of its processes, and prints a table.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

INTERVAL_SECONDS = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeat-noop", type=int, default=5,
                        help="number of timings of the no-op run and of --help (default 5)")
    repeats = parser.parse_args().repeat_noop
    folder = Path(tempfile.mkdtemp(prefix="aigc-bench-"))
    try:
        subprocess.run(["git", "clone", "--quiet", ".", folder / "clone"], check=True)
        report(folder / "clone", repeats)
    finally:
        shutil.rmtree(folder)


def report(clone: Path, repeats: int) -> None:
    seconds, stages = watch(clone)
    training = training_seconds(clone)
    print(f"{'stage':<18}{'seconds':>9}{'peak MiB':>10}")
    for name, (took, peak) in stages.items():
        print(f"{name:<18}{took:>9.1f}{peak / 2**20:>10.0f}")
    print(f"\ndefault run: {seconds:.0f} s, of which outside training {100 * (1 - training / seconds):.0f}%")
    print(f"no-op `dvc repro`: median {median_of(['dvc', 'repro', '-q'], clone, repeats):.2f} s of {repeats}")
    help_seconds = median_of([sys.executable, "-m", "aigc", "--help"], clone, repeats)
    print(f"`python -m aigc --help`: median {help_seconds:.2f} s of {repeats}")


def environment(clone: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(clone / "src")}


def watch(clone: Path, command: Sequence[str] = ("dvc", "repro", "--force"),
          ) -> tuple[float, dict[str, tuple[float, int]]]:
    """Run the pipeline. Returns (wall seconds, {stage: (seconds, peak resident bytes)})."""
    started = time.monotonic()
    run = psutil.Popen(command, cwd=clone, env=environment(clone), stdout=subprocess.DEVNULL)
    seen: dict[str, tuple[float, float, int]] = {}
    while run.poll() is None:
        for child in run.children(recursive=True):
            try:
                command, memory = child.cmdline(), child.memory_info().rss
            except psutil.Error:
                continue
            if "aigc.stages" in command:
                name = " ".join(command[command.index("aigc.stages") + 1:])
                now = time.monotonic()
                first, _, peak = seen.get(name, (now, now, 0))
                seen[name] = (first, now, max(peak, memory))
        time.sleep(INTERVAL_SECONDS)
    if run.returncode:
        sys.exit(f"{' '.join(command)} failed with exit code {run.returncode}")
    stages = {name: (last - first, peak) for name, (first, last, peak) in seen.items()}
    return time.monotonic() - started, stages


def training_seconds(clone: Path) -> float:
    """The seconds in the training loops of all methods, as MLflow recorded them."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{clone / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("aigc")
    assert experiment is not None
    return sum(run.data.metrics["training_seconds"] for run in client.search_runs([experiment.experiment_id]))


def median_of(command: list[str], clone: Path, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.monotonic()
        subprocess.run(command, cwd=clone, env=environment(clone), check=True, stdout=subprocess.DEVNULL)
        times.append(time.monotonic() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
