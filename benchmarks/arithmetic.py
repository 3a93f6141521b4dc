"""Measure the cost of portable arithmetic: fp32 training steps with and without the caps of core/runtime.py.

    PYTHONPATH=src python benchmarks/arithmetic.py [--methods vae gan …] [--steps 20] [--rounds 3]

The two arithmetics alternate. Each runs in a separate process, because the caps are read once, at import. The
row `whole run` weights each method by its number of steps in params.yaml. The last line shows the load of the
machine: under a high load the ratios are unreliable.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time


def compute(portable: bool, names: list[str], steps: int) -> dict[str, float]:
    """Median seconds per step of each method, without two warm-up steps."""
    from aigc.core import runtime

    runtime.cap_environment("portable" if portable else "fast", 2)
    from functools import partial

    import numpy as np

    from aigc import methods
    from aigc.core import config
    from aigc.model.contract import Shape
    from aigc.training.config import TrainConfig
    from aigc.training.feed import Feed
    from aigc.training.loop import Trainer

    # "portable" selects the CPU and fp32 here. The instruction sets are restricted only by the caps above.
    device, content, shape = runtime.start_torch("portable", 2), config.read(), Shape(1, 28, 10)
    pictures = np.random.default_rng(0).integers(0, 256, (1000, 1, 28, 28), dtype=np.uint8)
    feed = Feed(pictures, np.arange(1000) % 10, 0, device)
    train = TrainConfig(seed=0, intervals=1, checkpoints=1)
    medians = {}
    for name in names:
        settings = methods.load_config(name, content)
        trainer = Trainer(name, partial(methods.build, name, settings, shape), feed, settings, train, device)
        times = []
        for _ in range(steps + 2):
            started = time.perf_counter()
            trainer.train_step()
            times.append(time.perf_counter() - started)
        medians[name] = statistics.median(times[2:])
    return medians


def measure(portable: bool, methods: list[str], steps: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--compute", str(int(portable)), "--methods", *methods,
               "--steps", str(steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--methods", nargs="+", help="default: those of params.yaml")
    parser.add_argument("--steps", type=int, default=20, help="timed steps per round (default 20)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--compute", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compute is not None:
        print(json.dumps(compute(bool(arguments.compute), arguments.methods, arguments.steps)))
        return
    from aigc.core import config

    content = config.read()
    methods = arguments.methods or config.methods(content)
    rounds = [(measure(True, methods, arguments.steps), measure(False, methods, arguments.steps))
              for _ in range(arguments.rounds)]
    print(f"{'method':<12}{'portable ms':>12}{'fp32 ms':>10}{'ratio':>8}")
    totals = [0.0, 0.0]
    for method in methods:
        seconds = [statistics.median(pair[side][method] for pair in rounds) for side in (0, 1)]
        section = content[method]
        steps = math.ceil(section["images"] / (section["batch_size"] * section.get("n_critic", 1)))
        totals = [total + steps * one for total, one in zip(totals, seconds, strict=True)]
        print(f"{method:<12}{1000 * seconds[0]:>12.1f}{1000 * seconds[1]:>10.1f}"
              f"{seconds[0] / seconds[1]:>8.2f}")
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"{'whole run':<12}{totals[0]:>11.0f}s{totals[1]:>9.0f}s{totals[0] / totals[1]:>8.2f}    {load}")


if __name__ == "__main__":
    main()
