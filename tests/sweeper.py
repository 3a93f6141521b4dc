"""One worker of a sweep whose trials take a moment and can be killed: `python sweeper.py URL FOLDER TRIALS`.

A trial counts to STEPS, keeps its count in a file as a checkpoint, and goes on from there. It writes a line
for each start and each end.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from aigc.core import config, files, process
from aigc.sweep import space, storage, study
from aigc.sweep.space import Point
from aigc.sweep.trial import Report
from aigc.sweep.worker import Worker

STEPS, PAUSE = 10, 0.1
RAW = {"name": "counted", "method": "gan", "objectives": ["fid"], "sampler": "random",
       "parameters": {"gan.latent": {"low": 8, "high": 64}, "gan.r1": {"low": 0, "high": 2}}}


def space_here() -> space.Space:
    found, faults = space.of(RAW, config.read(), "sweeper")
    assert found is not None, faults
    return found


def fid(point: Point) -> float:
    return float(point["gan.latent"] + point["gan.r1"])


def main(url: str, folder: Path, trials: int) -> None:
    def note(text: str) -> None:
        with (folder / "notes").open("a") as stream:
            stream.write(f"{text}\n")

    def run(index: int, point: Point, _: Report | None) -> list[dict[str, Any]]:
        with process.only_writer(folder / f"{index}.lock", patience=100):
            count = folder / f"{index}.json"
            done = files.read_json(count) if count.exists() else 0
            note(f"start {index} {done} {os.getpid()}")
            for step in range(done, STEPS):
                time.sleep(PAUSE)
                files.write_json(count, step + 1)
                note(f"step {index} {step}")
            return [{"metrics": {"fid": fid(point)}, "passes": True}]

    found = space_here()
    address = storage.address(url)
    with storage.opened(address, writes=True) as opened:
        with storage.alone(address):
            sweep = study.begin(found, opened, {"code": {}})
            study.queue(sweep, found, trials)
        Worker(sweep, found, opened, run, f"w{os.getpid()}").work()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
