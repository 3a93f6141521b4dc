"""Small trainings in shards, by one process or by a team.

    torchrun --nproc-per-node 2 tests/sharded.py FOLDER METHOD...

prints {method: sha256 of its weights, their average, the moments and the history} from rank 0.
"""

from aigc.core import runtime

if __name__ == "__main__":
    runtime.cap_environment("portable", 1)

import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aigc import methods
from aigc.core import config, process
from aigc.core.errors import DivergedError, Interrupted
from aigc.core.runtime import Device
from aigc.model.contract import MethodConfig, Player, Shape, Trainable
from aigc.training import checkpoint, parallel
from aigc.training.config import TrainConfig
from aigc.training.feed import Feed
from aigc.training.loop import Trainer

METHODS = ("gan", "dcgan", "cgan", "wgan_gp", "flow", "vae")
SHAPE = Shape(1, 16, 3)
SHARDS, BATCH, STEPS = 4, 16, 5
NARROW: dict[str, Any] = {"width": 8, "batch_size": BATCH, "images": BATCH * STEPS}
OTHER: dict[str, dict[str, Any]] = {
    "gan": {"penalty_every": 2}, "dcgan": {"see_batch": True},
    "wgan_gp": {"n_critic": 2, "penalty_every": 2, "images": 2 * BATCH * STEPS}}
TRAIN = TrainConfig(seed=0, intervals=1, checkpoints=1, mirror=True, shards=SHARDS)
PARAMS = Path(__file__).resolve().parent.parent / "params.yaml"


def trainer(method: str, shards: int, device: Device, kind: type[Trainer] = parallel.ShardedTrainer,
            checkpoints: checkpoint.Checkpoints | None = None) -> Trainer:
    """A training of a few steps, on pictures that are mirrored at random and read ahead."""
    settings = methods.load_config(method, config.read(PARAMS)).model_copy(
        update={**NARROW, **OTHER.get(method, {})})
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (50, *SHAPE.image), dtype=np.uint8), rng.integers(0, 3, 50)
    train = TRAIN.model_copy(update={"shards": shards})
    feed = Feed(images, labels, 0, device, mirror=True, memory=0)
    return kind(method, lambda: methods.build(method, settings, SHAPE), feed, settings, train, device,
                checkpoints)


def digest(run: Trainer) -> str:
    """Of all that a training leaves, up to the last bit."""
    run.run_steps(None)
    whole = hashlib.sha256(json.dumps(run.history).encode())
    tensors = checkpoint.pack({"model": run.model, "average": run.ema.model}, run.optimizers)
    for name, tensor in sorted(tensors.items()):
        whole.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return whole.hexdigest()


class Spoilt(Trainable):
    """Its loss becomes NaN in the last process alone."""

    def __init__(self) -> None:
        super().__init__(SHAPE)
        self.weight = nn.Parameter(torch.ones(1))

    def players(self) -> dict[str, Player]:
        return {"one": Player([self.weight], 0.1)}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        yield "one", self.weight.sum() * (float("nan") if self.progress and is_last() else 1.0)


def is_last() -> bool:
    return process.rank() == int(os.environ.get("WORLD_SIZE", 1)) - 1


def diverged(device: Device, checkpoints: checkpoint.Checkpoints | None = None) -> str:
    """What a training says whose loss becomes NaN."""
    settings = MethodConfig(images=BATCH * STEPS, batch_size=BATCH, ema_halflife=1.0, warmup=0.0, decay=0.0)
    feed = Feed(np.zeros((50, *SHAPE.image), np.uint8), np.full(50, -1), 0, device)
    try:
        parallel.ShardedTrainer("spoilt", Spoilt, feed, settings, TRAIN, device, checkpoints).run_steps(None)
    except DivergedError as error:
        return str(error)
    return "nothing"


def stopped(device: Device, checkpoints: checkpoint.Checkpoints) -> tuple[str, str]:
    """A training of which the last process alone gets a signal: (what it says, digest when it went on)."""
    first = trainer("gan", SHARDS, device, checkpoints=checkpoints)
    train_step = first.train_step

    def signalled() -> object:
        if first.step == 2 and is_last():
            os.kill(os.getpid(), signal.SIGTERM)
        return train_step()

    first.train_step = signalled  # type: ignore[assignment, method-assign]
    try:
        first.run_steps(None)
    except Interrupted as error:
        second = trainer("gan", SHARDS, device, checkpoints=checkpoints)
        second.resume()
        return str(error), digest(second)
    return "nothing", ""


def main(folder: str, *names: str) -> None:
    device = runtime.start_torch("portable", 1)
    with parallel.join(device, {}, TRAIN) as team:

        def checkpoints(name: str) -> checkpoint.Checkpoints:
            return parallel.SharedCheckpoints(Path(folder) / name, {}, team)

        found: dict[str, Any] = {name: digest(trainer(name, SHARDS, device, checkpoints=checkpoints(name)))
                                 for name in names}
        found["diverged"] = diverged(device, checkpoints("diverged"))
        found["stopped"] = list(stopped(device, checkpoints("stopped")))
        others = team.broadcast_bytes(json.dumps(found).encode())
        assert json.loads(others) == found, "the processes differ"
        if team.leads:
            print(json.dumps({"size": team.size, **found}))


if __name__ == "__main__":
    torch.manual_seed(1)
    main(*sys.argv[1:])
