"""Kill training at random instants and compare what comes out with the run that was never killed.

    PYTHONPATH=src:tests python tests/crashes.py [--methods vae gan …] [--kills 20] [--seed 0] [--devices 1]

A project made small is run up to each method's training. SIGKILL goes in turn to dvc alone, to the stage
alone, to both. Then `dvc repro` runs at once (beside an orphan, if there is one), after `aigc mend` where DVC
refuses to start. Exits 1 when
one byte of dvc.lock differs, a step was logged twice, or a run stays RUNNING.

With --devices above 1 as many processes share each training, in as many shards. One of them is a victim too,
and the run that was never killed is that of one process.
"""

import argparse
import difflib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil

from aigc.core.sharing import DEVICES
from projects import copy_project, environment_of, run_in

VICTIMS = ("dvc", "stage", "both")
RANK = "rank"  # a victim too where several processes share a training
ATTEMPTS = 4


@dataclass
class Crash:
    """What one kill did."""

    victim: str
    instant: float
    hit: bool
    same_bytes: bool
    mended: bool
    checkpoint: int
    resumed: int
    faults: list[str]


def small_project(folder: Path, methods: list[str], upto: str = "preprocess", shards: int = 1) -> Path:
    """A project in which everything before training has run."""
    copy_project(folder)
    params = folder / "params.yaml"
    text = params.read_text().replace("methods: [vae, gan]", f"methods: [{', '.join(methods)}]")
    params.write_text(text.replace("shards: 1 ", f"shards: {shards} "))
    run_in(folder, "dvc", "repro", upto)
    run_in(folder, "git", "add", "-A")
    run_in(folder, "git", "commit", "-qm", "start of training")
    return folder


def straight(base: Path, folder: Path, target: str) -> tuple[bytes, float]:
    """The run that is never killed: (dvc.lock, seconds)."""
    shutil.copytree(base, folder, symlinks=True)
    started = time.monotonic()
    run_in(folder, "dvc", "repro", target)
    return (folder / "dvc.lock").read_bytes(), time.monotonic() - started


def crash(base: Path, folder: Path, target: str, victim: str, instant: float, expected: bytes,
          devices: int = 1) -> Crash:
    """Run in a copy of `base`, kill `victim` after `instant` seconds, run to the end, compare."""
    shutil.copytree(base, folder, symlinks=True)
    environment = {DEVICES: str(devices)}
    run = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", target],
        cwd=folder,
        env=environment_of(**environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(instant)
    stages, ranks = stages_of(run)
    one = [ranks[round(instant * 1000) % len(ranks)]] if ranks else []
    found = {"dvc": [psutil.Process(run.pid)], "stage": stages, RANK: one}
    victims = [*found["dvc"], *stages] if victim == "both" else found[victim]
    hit = run.poll() is None and bool(victims)
    for process in victims if hit else []:
        process.send_signal(signal.SIGKILL)
    kept = folder.glob(f".checkpoints/{target.partition('@')[2]}-*/[0-9]*.safetensors")
    checkpoint = max((int(path.name[:10]) for path in kept), default=0)
    run.wait()
    mended, said = go_on(folder, target, **environment)
    resumed = max((int(step) for step in re.findall(r"resumed at step (\d+) of", said)), default=0)
    # A stage that had ended before the kill may come from DVC's cache. One that runs must resume from the
    # newest checkpoint.
    faults = (
        []
        if resumed >= checkpoint or f"Running stage '{target}'" not in said
        else [f"resumed at {resumed}, a checkpoint of {checkpoint} was there"]
    )
    faults += faults_of_runs(folder)
    lock = (folder / "dvc.lock").read_bytes()
    if lock != expected:
        lines = difflib.unified_diff(
            expected.decode().splitlines(), lock.decode().splitlines(), "never killed", "killed", n=1
        )
        faults += ["dvc.lock: " + " ".join(line for line in lines if line[:1] in "+-")[:600]]
    return Crash(victim, instant, hit, lock == expected, mended, checkpoint, resumed, faults)


def stages_of(run: subprocess.Popen[bytes]) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """The stage that a running `dvc repro` has started, if it has, and the processes that share its work."""
    stages: list[psutil.Process] = []
    ranks: list[psutil.Process] = []
    try:
        for child in psutil.Process(run.pid).children(recursive=True):
            if "aigc.stages" in child.cmdline():
                (ranks if "-u" in child.cmdline() else stages).append(child)
    except psutil.Error:
        pass
    return stages, ranks


def go_on(folder: Path, *targets: str, **environment: str) -> tuple[bool, str]:
    """`dvc repro` until it ends well: (whether `aigc mend` was needed, what was said)."""
    said, mended = "", False
    for _ in range(ATTEMPTS):
        done = run_in(folder, "dvc", "repro", *targets, check=False, **environment)
        said += done.stdout + done.stderr
        if done.returncode == 0:
            return mended, said
        mended = True
        run_in(folder, sys.executable, "-m", "aigc", "mend", PYTHONPATH="src")
    raise AssertionError(f"{folder}: does not go on: {said[-2000:]}")


def faults_of_runs(folder: Path) -> list[str]:
    """What MLflow's store says that it should not: a step twice, a run RUNNING, two runs of one training."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("aigc")
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    faults = [f"run {run.info.run_id} is {run.info.status}" for run in found if run.info.status != "FINISHED"]
    methods = Counter(run.data.tags["aigc.method"] for run in found)
    faults += [f"{count} runs of {method}" for method, count in methods.items() if count > 1]
    for run in found:
        for key in (name for name in run.data.metrics if name == "images" or name.startswith("loss/")):
            steps = [point.step for point in client.get_metric_history(run.info.run_id, key)]
            faults += [f"{key} was logged twice at a step"] if len(steps) != len(set(steps)) else []
    return faults


def loop(base: Path, scratch: Path, target: str, kills: int, rng: random.Random,
         devices: int = 1) -> list[Crash]:
    """`kills` crashes of one target, the victims in turn; each is told as it ends."""
    victims = [*VICTIMS, RANK] if devices > 1 else VICTIMS
    expected, seconds = straight(base, scratch / "straight", target)
    crashes = []
    for index in range(kills):
        folder = scratch / f"killed-{index}"
        crashes.append(
            crash(base, folder, target, victims[index % len(victims)], rng.uniform(0, seconds), expected,
                  devices)
        )
        print(f"{target}: {crashes[-1]}", file=sys.stderr, flush=True)
        shutil.rmtree(folder)
    return crashes


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--methods", nargs="+", default=["autoencoder", "vae", "gan", "wgan_gp", "dcgan", "cgan", "flow"]
    )
    parser.add_argument("--kills", type=int, default=20, help="kills a method (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the instants (default 0)")
    parser.add_argument("--devices", type=int, default=1, help="processes and shards of a training")
    chosen = parser.parse_args()
    print(f"{'method':<12}{'kills':>6}{'hit':>5}{'resumed':>9}{'mended':>8}{'same bytes':>12}{'faults':>8}")
    failed = False
    with tempfile.TemporaryDirectory(prefix="aigc-crashes-") as scratch:
        (Path(scratch) / "base").mkdir()
        base = small_project(Path(scratch) / "base", chosen.methods, shards=chosen.devices)
        for method in chosen.methods:
            (Path(scratch) / method).mkdir()
            rows = loop(
                base,
                Path(scratch) / method,
                f"train@{method}",
                chosen.kills,
                random.Random(f"{chosen.seed}/{method}"),
                chosen.devices,
            )
            counts = [
                sum(row.hit for row in rows),
                sum(row.resumed > 0 for row in rows),
                sum(row.mended for row in rows),
            ]
            same, faults = sum(row.same_bytes for row in rows), sum(bool(row.faults) for row in rows)
            print(
                f"{method:<12}{len(rows):>6}{counts[0]:>5}{counts[1]:>9}{counts[2]:>8}{same:>12}{faults:>8}",
                flush=True,
            )
            failed = failed or same < len(rows) or faults > 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
