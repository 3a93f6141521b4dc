"""What portable arithmetic costs: the same training steps with the caps of core/runtime.py and without, both in fp32.

    PYTHONPATH=src python benchmarks/arithmetic.py [--methods vae gan …] [--steps 20] [--rounds 3]

Ratios of one run: the two arithmetics take turns, each in a process of its own, since the caps are read once. `whole run` weighs the
methods by the steps that params.yaml gives them. Says the load, which decides how far the ratios can be trusted.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time

from aigc.model.contract import Shape
from aigc.training.config import TrainConfig


def compute(portable: bool, names: list[str], steps: int) -> dict[str, float]:
    """{method: seconds a step}, medians, after two steps to warm up."""
    from aigc.core import runtime

    runtime.cap_environment("portable" if portable else "fast", 2)
    from functools import partial

    import numpy as np

    from aigc import methods
    from aigc.core import config
    from aigc.training.feed import Feed
    from aigc.training.loop import Trainer

    # "portable" here chooses the device and fp32; without the caps in the environment nothing else is restricted.
    device, content, shape = runtime.start_torch("portable", 2), config.read(), Shape(1, 28, 10)
    pictures = np.random.default_rng(0).integers(0, 256, (1000, 1, 28, 28), dtype=np.uint8)
    feed, train = Feed(pictures, np.arange(1000) % 10, 0, device), TrainConfig(seed=0, intervals=1, checkpoints=1)
    found = {}
    for name in names:
        chosen = methods.load_config(name, content)
        trainer = Trainer(name, partial(methods.build, name, chosen, shape), feed, chosen, train, device)
        times = []
        for _ in range(steps + 2):
            started = time.perf_counter()
            trainer.advance()
            times.append(time.perf_counter() - started)
        found[name] = statistics.median(times[2:])
    return found


def measure(portable: bool, methods: list[str], steps: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--compute", str(int(portable)), "--methods", *methods, "--steps", str(steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--methods", nargs="+", help="default: those of params.yaml")
    parser.add_argument("--steps", type=int, default=20, help="timed steps a round (default 20)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--compute", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.compute is not None:
        print(json.dumps(compute(bool(chosen.compute), chosen.methods, chosen.steps)))
        return
    from aigc.core import config

    content = config.read()
    methods = chosen.methods or config.methods(content)
    rounds = [(measure(True, methods, chosen.steps), measure(False, methods, chosen.steps)) for _ in range(chosen.rounds)]
    print(f"{'method':<12}{'portable ms':>12}{'fp32 ms':>10}{'ratio':>8}")
    totals = [0.0, 0.0]
    for method in methods:
        seconds = [statistics.median(pair[side][method] for pair in rounds) for side in (0, 1)]
        steps = math.ceil(content[method]["images"] / (content[method]["batch_size"] * content[method].get("n_critic", 1)))
        totals = [total + steps * one for total, one in zip(totals, seconds, strict=True)]
        print(f"{method:<12}{1000 * seconds[0]:>12.1f}{1000 * seconds[1]:>10.1f}{seconds[0] / seconds[1]:>8.2f}")
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"{'whole run':<12}{totals[0]:>11.0f}s{totals[1]:>9.0f}s{totals[0] / totals[1]:>8.2f}    {load}")


if __name__ == "__main__":
    main()
