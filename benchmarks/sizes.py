"""Measure each method by the size of the pictures: memory of a training, and pictures per CPU second.

    PYTHONPATH=src python benchmarks/sizes.py [--methods vae gan …] [--sizes 16 28 …] [--seconds 1]

With the settings of params.yaml, random pictures (1 channel at 28 pixels, else 3) of 10 classes, and one
thread. Each cell is a forked process of its own. Memory is the estimate of training/memory.py, which is a
lower limit, and in brackets the peak of the resident memory that a training of whole batches added. Where the
estimate is over --whole GiB the steps have fewer pictures, and no peak is shown. Where the weights alone are,
nothing is trained.
"""

import argparse
import json
import os
import resource
import sys
import time
from functools import partial
from typing import Any

from aigc.core import runtime

runtime.cap_environment("portable", 1)

import numpy as np

from aigc import methods
from aigc.model.contract import Shape
from aigc.training import memory
from aigc.training.config import TrainConfig
from aigc.training.feed import Feed
from aigc.training.loop import Trainer

SIZES = (16, 28, 32, 64, 128, 256, 512)
CLASSES = 10
FEW = 4  # pictures of a batch where a whole one takes too much memory


def measure(method: str, size: int, seconds: float, whole: float) -> dict[str, float]:
    """{"estimate": GiB, "pace": pictures per CPU second, "peak": GiB}, as far as it was measured."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    device = runtime.start_torch("portable", 1)
    settings = methods.load_config(method)
    shape = Shape(1 if size == 28 else 3, size, CLASSES)
    build = partial(methods.build, method, settings, shape)
    with memory.torch.device("meta"):
        found = {"estimate": memory.weights_bytes(build()) / memory.GIB}
    if found["estimate"] > whole:
        return found
    found["estimate"] += settings.batch_size * memory.activation_bytes(build()) / memory.GIB
    is_whole = found["estimate"] <= whole
    settings = settings if is_whole else settings.model_copy(update={"batch_size": FEW})
    pictures = np.random.default_rng(0).integers(0, 256, (settings.batch_size, *shape.image), np.uint8)
    feed = Feed(pictures, np.arange(len(pictures)) % CLASSES, 0, device)
    trainer = Trainer(method, build, feed, settings, TrainConfig(seed=0, intervals=1, checkpoints=1), device)
    first, steps = time.process_time(), 0
    trainer.train_step()
    started = time.process_time()
    while time.process_time() - started < seconds - (started - first):
        trainer.train_step()
        steps += 1
    # A first step that took all of the time is the measurement.
    spent = time.process_time() - (started if steps else first)
    found["pace"] = max(1, steps) * trainer.schedule.batch / spent
    if is_whole:
        found["peak"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / memory.GIB
    return found


def in_a_fork(*arguments: Any) -> dict[str, float]:
    """What `measure` returns, from a process whose memory is its own."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, json.dumps(measure(*arguments)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        content = stream.read()
    os.waitpid(child, 0)
    found: dict[str, float] = json.loads(content or "{}")
    return found


def memory_text(found: dict[str, float]) -> str:
    peak = f" ({found['peak']:.2f})" if "peak" in found else ""
    return f"{found['estimate']:.2f}{peak}" if found else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--methods", nargs="+", default=methods.available())
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, metavar="PIXELS")
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds of steps a cell (default 1)")
    parser.add_argument("--whole", type=float, default=2.0, metavar="GIB",
                        help="whole batches up to this much memory (default 2)")
    chosen = parser.parse_args()
    found = {}
    for size in chosen.sizes:
        for method in chosen.methods:
            found[method, size] = in_a_fork(method, size, chosen.seconds, chosen.whole)
            print(method, size, found[method, size], file=sys.stderr, flush=True)
    texts = {"GiB: estimate (measured peak)": memory_text,
             "pictures per CPU second": lambda cell: f"{cell['pace']:,.0f}" if "pace" in cell else "–"}
    for title, text in texts.items():
        print(f"\n| {title} | " + " | ".join(map(str, chosen.sizes)) + " |")
        print("|---" * (len(chosen.sizes) + 1) + "|")
        for method in chosen.methods:
            print(f"| `{method}` | " + " | ".join(text(found[method, size]) for size in chosen.sizes) + " |")
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
