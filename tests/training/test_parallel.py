"""A batch in shards: who computes a shard changes no byte, and one shard is the plain loop."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sharded
from aigc.core.errors import ConfigError
from aigc.core.runtime import Device
from aigc.core.sharing import DEVICES, processes_here
from aigc.methods.families.adversarial import Adversarial
from aigc.model.contract import MethodConfig, Player, Shape, Trainable
from aigc.training import launch, parallel
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.feed import Feed
from aigc.training.loop import Trainer
from projects import ROOT, environment_of


def by_processes(count: int, folder: Path, *names: str) -> dict[str, object]:
    """What `sharded.py` says when that many processes run it."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count),
               str(Path(sharded.__file__)), str(folder), *names]
    done = subprocess.run(command, cwd=ROOT, env=environment_of(PYTHONPATH="src", GLOO_SOCKET_IFNAME="lo"),
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("method", sharded.METHODS)
def test_one_shard_is_the_plain_loop(method: str, device: Device) -> None:
    plain, one, four = (sharded.digest(sharded.trainer(method, shards, device, kind)) for shards, kind in (
        (1, Trainer), (1, parallel.ShardedTrainer), (4, parallel.ShardedTrainer)))
    assert plain == one != four


def by_one(device: Device, folder: Path, *names: str) -> dict[str, object]:
    """What `sharded.py` says where there is one process."""
    found = {name: sharded.digest(sharded.trainer(name, sharded.SHARDS, device)) for name in names}
    stopped = sharded.stopped(device, Checkpoints(folder / "one"))
    assert stopped == ("stopped by signal 15 at step 3 of 5; run again to go on from there", found["gan"])
    diverged = sharded.diverged(device)
    assert diverged.startswith("the loss of player `one` became nan at step 1 of 5")
    return {**found, "stopped": list(stopped), "diverged": diverged}


def test_two_processes_give_the_bytes_of_one_and_end_together(device: Device, tmp_path: Path) -> None:
    names = ("gan", "dcgan", "wgan_gp")
    assert by_processes(2, tmp_path, *names) == {"size": 2, **by_one(device, tmp_path, *names)}


@pytest.mark.slow
def test_one_two_and_four_processes_give_the_same_bytes(device: Device, tmp_path: Path) -> None:
    names = sharded.METHODS
    alone = by_one(device, tmp_path, *names)
    for count in (1, 2, 4):
        assert by_processes(count, tmp_path / str(count), *names) == {"size": count, **alone}


class Twice(Trainable):
    """Two players without batch statistics, in float64."""

    batches_per_update = 2

    def __init__(self) -> None:
        super().__init__(Shape(1, 16, 0))
        self.one, self.two = (nn.Sequential(nn.Flatten(), nn.Linear(256, 6), nn.Tanh(),
                                            nn.Linear(6, 1)).double() for _ in range(2))

    def players(self) -> dict[str, Player]:
        return {name: Player(list(getattr(self, name).parameters()), 1e-3) for name in ("one", "two")}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        real = real.double()
        yield "one", self.one(real).square().mean()
        yield "two", (self.one(real) * self.two(real)).sin().mean()


def test_the_mean_gradient_of_the_shards_is_that_of_the_batch(device: Device) -> None:
    images = np.random.default_rng(0).integers(0, 256, (64, 1, 16, 16), dtype=np.uint8)
    settings = MethodConfig(images=320, batch_size=16, ema_halflife=1.0, warmup=0.0, decay=0.0)
    runs = [kind("twice", Twice, Feed(images, np.full(64, -1), 0, device), settings,
                 TrainConfig(seed=0, intervals=1, checkpoints=1, shards=shards), device)
            for kind, shards in ((Trainer, 1), (parallel.ShardedTrainer, 8))]
    for _ in range(3):
        for whole, parts in zip(*(run.gradients() for run in runs), strict=True):
            assert whole[0] == parts[0]
            torch.testing.assert_close(whole[1], parts[1], rtol=1e-12, atol=1e-15)
            for one, other in zip(*(run.players[whole[0]].parameters for run in runs), strict=True):
                torch.testing.assert_close(one.grad, other.grad, rtol=1e-10, atol=1e-15)
            for run in runs:
                run.optimizer_step(whole[0])
        for run in runs:
            run.step += 1


@pytest.mark.parametrize("processes", [1, 2, 4, 8])
def test_sums_of_a_part_of_the_shards_add_up_to_the_same_bits(processes: int) -> None:
    parts = torch.randn(8, 1000, generator=torch.Generator().manual_seed(0)).unbind()
    each = len(parts) // processes
    own = [parallel.pairwise_sum(parts[start:start + each]) for start in range(0, 8, each)]
    assert torch.equal(parallel.pairwise_sum(own), parallel.pairwise_sum(parts))
    torch.testing.assert_close(parallel.pairwise_sum(parts), torch.stack(parts).sum(0))


def test_a_lazy_penalty_acts_in_all_shards_of_a_step_or_in_none(
        device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    weights: list[int] = []
    lazy_weight = Adversarial.lazy_weight
    monkeypatch.setattr(Adversarial, "lazy_weight",
                        lambda self, rng: weights.append(lazy_weight(self, rng)) or weights[-1])
    run = sharded.trainer("gan", 4, device)
    weights.clear()  # of the probe of the memory
    for _ in range(12):
        run.train_step()
    steps = [weights[start:start + 4] for start in range(0, len(weights), 4)]
    assert len(steps) == 12 and all(len(set(step)) == 1 for step in steps)
    assert {step[0] for step in steps} == {0, 2}


def test_shards_without_enough_pictures_for_their_statistics_get_a_warning(
        device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    sharded.trainer("dcgan", 4, device)
    said = capsys.readouterr().err
    assert "warning: dcgan: its batch statistics are those of a shard, which has 4 pictures" in said
    sharded.trainer("gan", 4, device)
    sharded.trainer("dcgan", 1, device)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("shards", "count", "said"), [
    (4, "3", r"^3 processes must divide `train.shards` in params.yaml \(4\); set AIGC_DEVICES"),
    (2, "4", r"^4 processes must divide `train.shards` in params.yaml \(2\)"),
    (4, "two", "^AIGC_DEVICES=two: must be a number of processes, 1 or more$"),
    (4, "0", "^AIGC_DEVICES=0: must be a number")])
def test_a_number_of_processes_that_cannot_be_is_refused(
        monkeypatch: pytest.MonkeyPatch, shards: int, count: str, said: str) -> None:
    monkeypatch.setenv(DEVICES, count)
    with pytest.raises(ConfigError, match=said):
        launch.launch(("train", "gan"), TrainConfig(seed=0, intervals=1, checkpoints=1, shards=shards), False)


def test_one_process_is_the_default_and_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DEVICES, raising=False)
    assert processes_here() == 1
    assert not launch.launch(("train", "gan"), TrainConfig(seed=0, intervals=1, checkpoints=1), False)


@pytest.mark.parametrize("shards", [0, 3, 6, 2048])
def test_shards_are_a_power_of_two(shards: int) -> None:
    with pytest.raises(ValueError, match="shards"):
        TrainConfig(seed=0, intervals=1, checkpoints=1, shards=shards)


def test_shards_must_divide_the_batch() -> None:
    train = TrainConfig(seed=0, intervals=1, checkpoints=1, shards=8)
    with pytest.raises(ConfigError, match=r"`train.shards` \(8\) must divide `gan.batch_size` \(12\)$"):
        train.check_batch_size("gan", 12)
