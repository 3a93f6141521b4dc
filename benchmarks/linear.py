"""Compare aigc.networks.blocks.Linear with torch's linear layer, forward and backward, in both arithmetics.

    PYTHONPATH=src python benchmarks/linear.py
"""

import statistics
import subprocess
import sys
import time

SHAPES = [(64, 784, 512), (128, 784, 512), (128, 784, 1024), (256, 784, 1024)]
ROUNDS, CALLS = 7, 20


def measure(arithmetic: str) -> None:
    from aigc.core import runtime

    runtime.cap_environment(arithmetic, 2)
    import torch
    import torch.nn.functional as F

    from aigc.networks.blocks import Linear

    runtime.start_torch(arithmetic, 2)
    for batch, fan_in, fan_out in SHAPES:
        layer, x = Linear(fan_in, fan_out), torch.randn(batch, fan_in, requires_grad=True)
        candidates = {"ours": lambda: layer(x),  # noqa: B023
                      "torch": lambda: F.linear(x, layer.weight, layer.bias)}  # noqa: B023
        times: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(ROUNDS):
            for name, call in candidates.items():
                started = time.perf_counter()
                for _ in range(CALLS):
                    torch.autograd.grad(call().sum(), (x, layer.weight, layer.bias))
                times[name].append((time.perf_counter() - started) / CALLS * 1000)
        ours, theirs = (statistics.median(times[name]) for name in ("ours", "torch"))
        print(f"{arithmetic:<9} {batch:>4} x {fan_in} -> {fan_out:<5} ours {ours:6.2f} ms  "
              f"torch {theirs:6.2f} ms  ratio {theirs / ours:.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1])
    else:
        for arithmetic in ("portable", "fast"):
            subprocess.run([sys.executable, __file__, arithmetic], check=True)
