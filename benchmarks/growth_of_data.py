"""Seconds and memory of the stages up to the first training step, on many generated pictures.

    PYTHONPATH=src python benchmarks/growth_of_data.py --pictures 1000000                 # from one .npy file
    PYTHONPATH=src python benchmarks/growth_of_data.py --pictures 100000 --source folder  # from PNG files

The pictures are 32 x 32 in colour, noise of 2 x 2 pixels on the colour of their class. The project is made
in a temporary folder (--work names another place; a million pictures need 10 GB there) with the committed
params, changed as below. Each stage runs as DVC runs it. `train` is that of gan, stopped after its first
step. Printed are seconds, and two peaks over all processes of a stage, sampled: of the resident memory
(mapped files count, shared pages once), and of its part that is no mapped file, which the kernel cannot take
back.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from tqdm import tqdm

from aigc.core import config
from aigc.training import progress

ROOT = Path(__file__).resolve().parent.parent
CLASSES, SIDE, BLOCK = 10, 32, 10_000
INTERVAL_SECONDS = 0.1
STAGES = (("check",), ("ingest",), ("validate",), ("preprocess",), ("train", "gan"))
PARAMS = {"preprocess": {"size": SIDE, "channels": 3}, "data": {"path": "data/source", "licence": "CC0-1.0"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pictures", type=int, default=100_000, help="how many (default 100000)")
    parser.add_argument("--source", choices=("npy", "folder"), default="npy",
                        help="what is read (default npy)")
    parser.add_argument("--work", type=Path, help="an empty folder to work in, default a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aigc-growth-", dir=arguments.work) as name:
        project = Path(name)
        make_project(project, arguments.source)
        started = time.monotonic()
        make_pictures(project / "data/source", arguments.pictures, arguments.source)
        print(f"{arguments.pictures} pictures as {arguments.source}: made in "
              f"{time.monotonic() - started:.0f} s", flush=True)
        total = 0.0
        for stage in STAGES:
            seconds, resident, own = run(project, stage)
            total += seconds
            print(f"{' '.join(stage):12} {seconds:8.1f} s   resident {resident / 2**20:6.0f} MiB   "
                  f"without mapped files {own / 2**20:6.0f} MiB", flush=True)
        print(f"to the first step: {total:.0f} s; load average {os.getloadavg()[0]:.1f} on "
              f"{os.cpu_count()} cores")


def make_project(project: Path, source: str) -> None:
    """The committed params and lock in `project`, changed for these pictures."""
    from ruamel.yaml import YAML

    content = config.read(ROOT / "params.yaml")
    for section, changes in PARAMS.items():
        content[section].update(changes)
    content["data"]["source"] = source
    content["validate"].update(min_ink=0.0, max_ink=1.0)
    (project / "data/source").mkdir(parents=True)
    with (project / "params.yaml").open("w") as stream:
        YAML().dump(content, stream)
    shutil.copy(ROOT / "requirements.lock", project)


def make_pictures(folder: Path, count: int, source: str) -> None:
    """`count` pictures, sorted by class: images.npy and labels.npy, or a folder of PNGs a class."""
    labels = np.arange(count) * CLASSES // count
    colours = np.random.default_rng(0).integers(0, 128, (CLASSES, 3, 1, 1))
    if source == "npy":
        np.save(folder / "labels.npy", labels)
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 3, SIDE, SIDE)}
        with (folder / "images.npy").open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for start in tqdm(range(0, count, BLOCK), desc="generate", disable=None):
                stream.write(block(start, labels[start:start + BLOCK], colours).data)
        return
    for start in tqdm(range(0, count, BLOCK), desc="generate", disable=None):
        of_block = labels[start:start + BLOCK]
        for row, (label, picture) in enumerate(zip(of_block, block(start, of_block, colours), strict=True)):
            place = folder / str(label) / f"{start + row:07d}.png"
            place.parent.mkdir(exist_ok=True)
            Image.fromarray(picture.transpose(1, 2, 0)).save(place, compress_level=1)


def block(start: int, labels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """uint8 (n, 3, SIDE, SIDE)."""
    noise = np.random.default_rng(start).integers(0, 128, (len(labels), 3, SIDE // 2, SIDE // 2))
    return (noise + colours[labels]).astype(np.uint8).repeat(2, 2).repeat(2, 3)


def run(project: Path, stage: tuple[str, ...]) -> tuple[float, int, int]:
    """Run one stage; (seconds, peak of resident bytes, the same without mapped files). Exits if it fails."""
    log, until_step = project / "log", stage[0] == "train"
    command = [sys.executable, "-m", "aigc.stages", *stage]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "DVC_ROOT": str(ROOT),
                   "MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db", progress.VARIABLE: "1"}
    peaks = [0, 0]
    started = time.monotonic()
    with log.open("wb") as stream, psutil.Popen(command, cwd=project, env=environment, stdout=stream,
                                                stderr=stream) as process:
        while process.poll() is None and not (until_step and progress.MARK in log.read_text()):
            measure(process, peaks)
            time.sleep(INTERVAL_SECONDS)
        seconds = time.monotonic() - started
        has_begun = process.poll() is None
        if has_begun:
            process.send_signal(signal.SIGTERM)
            process.wait()
    if process.returncode and not has_begun:
        sys.exit(log.read_text()[-2000:])
    return seconds, peaks[0], peaks[1]


def measure(process: psutil.Process, peaks: list[int]) -> None:
    """Raise `peaks` to what the process and its children hold now."""
    with contextlib.suppress(psutil.Error):  # one may end before it is measured
        found = [member.memory_full_info() for member in (process, *process.children(recursive=True))]
        peaks[0] = max(peaks[0], sum(one.pss for one in found))
        peaks[1] = max(peaks[1], sum(one.rss - one.shared for one in found))


if __name__ == "__main__":
    main()
