"""Measure the ingest of a folder of pictures: its speed against torchvision, and its peak memory.

    PYTHONPATH=src python benchmarks/ingest.py [--count 20000] [--repeat 3] [--processes 2]  # speed
    PYTHONPATH=src python benchmarks/ingest.py --memory 20000 200000                        # peak memory

The comparison is torchvision's ImageFolder with Resize (bicubic) and CenterCrop, one picture at a time. It
decodes and resizes in the same way, but computes no hashes and writes no files. The script generates the
pictures: PNGs of smooth noise, with --side pixels per side.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize
from tqdm import tqdm

SIZE = 32
INTERVAL_SECONDS = 0.05
INGEST = """
if __name__ == "__main__":  # workers import this file, so they import nothing here
    import sys
    from pathlib import Path
    from aigc.data import ingest
    from aigc.data.config import DataConfig, PreprocessConfig, SplitConfig
    data = DataConfig(source="folder", path=sys.argv[1], table="", path_column="", label_column="",
                      max_quarantined=0.0, licence="", attribution="", url="",
                      split=SplitConfig(seed=0, holdout=0.2, test=0.2))
    shape = PreprocessConfig(size=int(sys.argv[3]), channels=3, fit="crop", background=[255, 255, 255])
    ingest.ingest(data, shape, int(sys.argv[4]), Path(sys.argv[2]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=20_000, help="pictures (default 20000)")
    parser.add_argument("--repeat", type=int, default=3, help="number of timings of each (default 3)")
    parser.add_argument("--processes", type=int, default=2, help="worker processes (default 2)")
    parser.add_argument("--side", type=int, default=96,
                        help="pixels per side of the generated pictures (default 96)")
    parser.add_argument("--memory", type=int, nargs="+", metavar="COUNT",
                        help="measure peak memory at these numbers of pictures instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aigc-bench-") as name:
        folder = Path(name)
        if arguments.memory:
            memory(folder, arguments.memory, arguments.side, arguments.processes)
        else:
            speed(folder, arguments.count, arguments.side, arguments.repeat, arguments.processes)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def speed(folder: Path, count: int, side: int, repeat: int, processes: int) -> None:
    generate(folder / "in", 0, count, side)
    pairs = [(plain(folder / "in"), ours(folder / "in", folder / "out", processes, watch=False)[0])
             for _ in range(repeat)]
    one, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratios = ", ".join(f"{first / second:.2f}" for first, second in pairs)
    print(f"{count} PNGs of {side} x {side}: torchvision {one:.1f} s, ingest {other:.1f} s, "
          f"{one / other:.2f} times as fast (medians of {repeat}; each pair: {ratios})")


def memory(folder: Path, counts: list[int], side: int, processes: int) -> None:
    existing, first = 0, 0.0
    for count in sorted(counts):
        generate(folder / "in", existing, count, side)
        existing = count
        seconds, peak = ours(folder / "in", folder / "out", processes)
        first = first or peak
        print(f"{count} PNGs of {side} x {side}: peak {peak / 2**20:.0f} MiB over all processes "
              f"({peak / first:.2f} of the first), {1e3 * seconds / count:.3f} ms per picture", flush=True)


def generate(folder: Path, start: int, stop: int, side: int) -> None:
    rng = np.random.default_rng(start)
    for number in range(10):
        (folder / str(number)).mkdir(parents=True, exist_ok=True)
    for number in tqdm(range(start, stop), desc="generate", unit="picture", disable=None):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        path = folder / str(number % 10) / f"{number:07d}.png"
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(path, compress_level=1)


def plain(folder: Path) -> float:
    steps = [Resize(SIZE, InterpolationMode.BICUBIC), CenterCrop(SIZE), PILToTensor()]
    pictures = ImageFolder(str(folder), Compose(steps))
    held = np.empty((len(pictures), 3, SIZE, SIZE), np.uint8)
    started = time.monotonic()
    for row in range(len(pictures)):
        held[row] = pictures[row][0].numpy()
    return time.monotonic() - started


def ours(source: Path, out: Path, processes: int, watch: bool = True) -> tuple[float, int]:
    """Run one ingest in a separate process. Returns (seconds, peak bytes).

    The peak is that of the resident memory of all its processes; shared pages count once. Measuring it takes
    time. With watch=False it is 0.
    """
    script = out.with_name("ingest_once.py")
    script.write_text(INGEST)
    started = time.monotonic()
    run = psutil.Popen([sys.executable, script, source, out, str(SIZE), str(processes)],
                       env={**os.environ, "PYTHONPATH": "src"}, stderr=subprocess.DEVNULL)
    peak = 0
    while watch and run.poll() is None:
        with contextlib.suppress(psutil.Error):  # a process may end before it is measured
            family = (run, *run.children(recursive=True))
            peak = max(peak, sum(process.memory_full_info().pss for process in family))
        time.sleep(INTERVAL_SECONDS)
    if run.wait():
        sys.exit(f"ingest failed with exit code {run.returncode}")
    return time.monotonic() - started, peak


if __name__ == "__main__":
    main()
