"""Compare `aigc repro` with `dvc repro`, both forced, in pairs; then simulate more cores.

    python benchmarks/repro.py [--pairs N] [--jobs N] [--project DIR]

Runs in a clean clone of HEAD, or in DIR, whose results it makes again. The two take turns. The simulation
takes the seconds of each stage in the first `dvc repro`, which runs one at a time, and assumes that stages
side by side take as long as alone, which memory bandwidth may prevent.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pipeline

CORES = (2, 4, 8, 16)
START_SECONDS = 1.0  # of a process of DVC's, before its first stage


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pairs", type=int, default=3, help="how often each runs (default 3)")
    parser.add_argument("--jobs", type=int, help="of `aigc repro`; default: its own")
    parser.add_argument("--project", type=Path, help="a project to run in, in place of a clone of HEAD")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="aigc-bench-"))
    try:
        clone = arguments.project or folder / "clone"
        if not arguments.project:
            subprocess.run(["git", "clone", "--quiet", ".", clone], check=True)
        report(clone.resolve(), arguments.pairs, arguments.jobs)
    finally:
        shutil.rmtree(folder)


def report(clone: Path, pairs: int, jobs: int | None) -> None:
    aigc = [sys.executable, "-m", "aigc", "repro", "--force", *(["-j", str(jobs)] if jobs else [])]
    found: dict[str, list[float]] = {"dvc": [], "aigc": []}
    stages: dict[str, float] = {}
    for index in range(pairs):
        # Who comes first changes: a machine that is warm or busy would favour one.
        for name in ("dvc", "aigc") if index % 2 == 0 else ("aigc", "dvc"):
            seconds, seen = pipeline.watch(clone, aigc if name == "aigc" else ["dvc", "repro", "--force"])
            found[name].append(seconds)
            if name == "dvc" and not stages:
                stages = {stage.replace(" ", "@"): took for stage, (took, _) in seen.items()}
            print(f"pair {index + 1}: {name} repro {seconds:.1f} s", flush=True)
    medians = {name: statistics.median(times) for name, times in found.items()}
    ratios = [one / other for one, other in zip(found["aigc"], found["dvc"], strict=True)]
    print(f"medians: dvc repro {medians['dvc']:.1f} s, aigc repro {medians['aigc']:.1f} s; "
          f"ratio of a pair: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    simulate(clone, stages)


def simulate(clone: Path, seconds: dict[str, float]) -> None:
    from aigc.commands import repro
    from aigc.orchestration import plan, schedule

    parser = argparse.ArgumentParser()
    repro.add_parser(parser.add_subparsers())
    before = Path.cwd()
    os.chdir(clone)
    try:
        planned = plan.make(parser.parse_args(["repro", "--force"]))
    finally:
        os.chdir(before)
    # A stage of less than the sampling interval may not have been seen.
    seconds = {name: seconds.get(name, pipeline.INTERVAL_SECONDS) for name in planned.order}
    path = schedule.critical_path(planned.order, planned.upstream, seconds)
    print(f"\nstages one after another: {sum(seconds.values()):.0f} s")
    for cores in CORES:
        took = schedule.simulate(planned.order, planned.upstream, seconds, cores, START_SECONDS)
        print(f"simulated, {cores:>2} jobs on as many cores: {took:.0f} s")
    print(f"critical path (any number of cores): {sum(seconds[name] for name in path):.0f} s: "
          + ", ".join(f"{name} {seconds[name]:.0f} s" for name in path))


if __name__ == "__main__":
    main()
