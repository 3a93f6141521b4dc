"""Pictures a second of each method's training, against the textbook's loop on the same network and batch.

    PYTHONPATH=src python benchmarks/training.py [--methods vae gan …] [--seconds 1.5] [--rounds 3]

The textbook's loop: torchvision's MNIST from its files, a DataLoader, plain Adam, loss.item() at each step;
torch as it comes, with as many threads. The loops take turns, each in a process of its own. They differ in
what surrounds network and loss; ours also averages the weights. Under `fast` the textbook's loop runs on the
same device. The last line shows the load of the machine: under a high load the ratios are unreliable.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

    from aigc.core.runtime import Device
    from aigc.model.contract import Method

TEXTBOOK, PORTABLE, FAST = "textbook", "portable", "fast"
WARM_UP = 4  # steps
THREADS = 2


def idx(folder: Path, name: str, array: "np.ndarray") -> None:
    """Write uint8 numbers as MNIST's files have them."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(length.to_bytes(4, "big") for length in array.shape)
    (folder / f"train-{name}-ubyte").write_bytes(head + array.tobytes())
    (folder / f"t10k-{name}-ubyte").write_bytes(head + array.tobytes())


def textbook_steps(method: "Method", batch: int, device: "torch.device", root: str) -> Iterator[int]:
    """Train as the textbook does; yields the pictures of each step."""
    import torch
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    loader = DataLoader(datasets.MNIST(root, transform=transform), batch, shuffle=True, drop_last=True)
    optimizers = {name: torch.optim.Adam(player.parameters, player.learning_rate, player.betas)
                  for name, player in method.to(device).players().items()}
    rng = torch.Generator(device).manual_seed(0)
    for images, labels in itertools.chain.from_iterable(itertools.repeat(loader)):
        for player, loss in method.updates(images.to(device), labels.to(device), rng):
            optimizers[player].zero_grad()
            loss.backward()
            optimizers[player].step()
            loss.item()
        yield len(images)


def pace(steps: Iterator[int], seconds: float, wait: Callable[[], object]) -> float:
    """Pictures a second over about `seconds`, after some steps to warm up."""
    for _ in range(WARM_UP):
        next(steps)
    wait()
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        count += next(steps)
    wait()
    return count / (time.perf_counter() - started)


def compute(kind: str, names: list[str], seconds: float, root: str) -> dict[str, float]:
    """Pictures a second of each method, in one kind of loop."""
    from aigc.core import runtime

    if kind != TEXTBOOK:
        runtime.cap_environment(runtime.RuntimeConfig(arithmetic=kind).arithmetic, THREADS)
    import torch

    from aigc import methods
    from aigc.core import config
    from aigc.data import sources
    from aigc.model.contract import Shape

    torch.set_num_threads(THREADS)
    device = runtime.start_torch(kind, THREADS) if kind in (PORTABLE, FAST) else None
    where = device.torch_device if device else torch.device(os.environ.get("TEXTBOOK_DEVICE", "cpu"))
    wait = torch.cuda.synchronize if where.type == "cuda" else bool
    digits, content, found = sources.digits(), config.read(), {}
    for name in names:
        settings = methods.load_config(name, content)
        torch.manual_seed(0)
        if device is None:
            method = methods.build(name, settings, Shape(1, 28, 10))
            batch = settings.batch_size * method.batches_per_update
            steps = textbook_steps(method, batch, where, root)
        else:
            steps = our_steps(name, settings, digits.images, digits.labels, device)
        found[name] = pace(steps, seconds, wait)
    found["device"] = float(where.type == "cuda")
    return found


def our_steps(name: str, settings: object, images: "np.ndarray", labels: "np.ndarray",
              device: "Device") -> Iterator[int]:
    """Train as the pipeline does; yields the pictures of each step."""
    from aigc import methods
    from aigc.model.contract import MethodConfig, Shape
    from aigc.training.config import TrainConfig
    from aigc.training.feed import Feed
    from aigc.training.loop import Trainer

    assert isinstance(settings, MethodConfig)
    trainer = Trainer(name, lambda: methods.build(name, settings, Shape(1, 28, 10)),
                      Feed(images, labels, 0, device), settings,
                      TrainConfig(seed=0, intervals=1, checkpoints=1), device)
    while True:
        trainer.train_step()
        yield trainer.schedule.batch


def measure(kind: str, names: list[str], seconds: float, root: str, device: str = "cpu") -> dict[str, float]:
    command = [sys.executable, __file__, "--compute", kind, "--methods", *names, "--seconds", str(seconds),
               "--root", root]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True,
                          env={**os.environ, "TEXTBOOK_DEVICE": device, "OMP_NUM_THREADS": str(THREADS)})
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main(names: list[str], seconds: float, rounds: int) -> None:
    from aigc.data import sources

    digits = sources.digits()
    with tempfile.TemporaryDirectory(prefix="aigc-bench-") as root:
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        idx(raw, "images-idx3", digits.images[:, 0])
        idx(raw, "labels-idx1", digits.labels.astype("uint8"))
        runs: dict[str, list[dict[str, float]]] = {TEXTBOOK: [], PORTABLE: [], FAST: [], "textbook, GPU": []}
        for _ in range(rounds):
            for kind in (TEXTBOOK, PORTABLE, FAST):
                runs[kind].append(measure(kind, names, seconds, root))
            if runs[FAST][-1]["device"]:
                runs["textbook, GPU"].append(measure(TEXTBOOK, names, seconds, root, "cuda"))
    pace_of = {kind: {name: statistics.median(run[name] for run in found) for name in names}
               for kind, found in runs.items() if found}
    beside = pace_of.get("textbook, GPU", pace_of[TEXTBOOK])
    print(f"{'pictures a second':<18}{'textbook':>10}{'portable':>10}{'ratio':>7}{'fast':>10}{'ratio':>7}")
    for name in names:
        textbook, portable, fast = (pace_of[kind][name] for kind in (TEXTBOOK, PORTABLE, FAST))
        print(f"{name:<18}{textbook:>10,.0f}{portable:>10,.0f}{portable / textbook:>7.2f}{fast:>10,.0f}"
              f"{fast / beside[name]:>7.2f}")
    print(f"medians of {rounds} rounds of {seconds} s; load of the machine: {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} cores")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--methods", nargs="+",
                        default=["autoencoder", "vae", "gan", "wgan_gp", "dcgan", "cgan", "r3gan", "stylegan",
                                 "flow"])
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement (default 1.5)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compute", choices=[TEXTBOOK, PORTABLE, FAST], help=argparse.SUPPRESS)
    parser.add_argument("--root", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.compute:
        print(json.dumps(compute(asked.compute, asked.methods, asked.seconds, asked.root)))
    else:
        main(asked.methods, asked.seconds, asked.rounds)
