"""The loop's result depends on what was asked for, never on how often it was stopped."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aigc.core import randomness
from aigc.core.errors import DivergedError, Interrupted
from aigc.core.randomness import Purpose
from aigc.core.runtime import Device
from aigc.model.contract import MethodConfig, Player, Shape, Trainable
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.ema import Average
from aigc.training.feed import Feed
from aigc.training.loop import Plan, Trainer, learning_rate

SHAPE = Shape(1, 16, 2)
CHOSEN = MethodConfig(images=640, batch_size=16, ema_halflife=100.0, warmup=0.1, decay=0.5)
TRAIN = TrainConfig(seed=0, intervals=10, checkpoints=5)
IMAGES = np.random.default_rng(0).integers(0, 256, (50, 1, 16, 16), dtype=np.uint8)


class TwoPlayers(Trainable):
    """Two players with batch normalisation and noise, so that any forgotten piece of state shows."""

    def __init__(self, spoil_at: int = -1) -> None:
        super().__init__(SHAPE)
        self.left = nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
        self.right = nn.Linear(256, 4)
        self.spoil_at, self.calls = spoil_at, 0

    def players(self) -> dict[str, Player]:
        return {"left": Player(list(self.left.parameters()), 1e-2), "right": Player(list(self.right.parameters()), 1e-3)}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        self.calls += 1
        yield "left", (self.left(real) - torch.randn(len(real), 1, generator=rng)).square().mean()
        loss = self.right(real.flatten(1)).square().mean() * self.left(real).mean()
        yield "right", loss * (float("nan") if self.calls == self.spoil_at else 1.0)


def trainer(folder: Path, device: Device, build: object = TwoPlayers, seed: int = 0) -> Trainer:
    return Trainer("two", build, Feed(IMAGES, np.zeros(50, np.int64), seed, device), CHOSEN,
                   TrainConfig(seed=seed, intervals=10, checkpoints=5), device, Checkpoints(folder))


def state(run: Trainer) -> dict[str, Tensor]:
    return {**run.model.state_dict(), **{f"average.{k}": v for k, v in run.average.model.state_dict().items()}}


def assert_same(one: Trainer, other: Trainer) -> None:
    for (name, mine), theirs in zip(state(one).items(), state(other).values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0, msg=name)
    assert one.history == other.history


def test_a_run_stopped_at_any_step_ends_in_the_same_bytes(device: Device, tmp_path: Path) -> None:
    straight = trainer(tmp_path / "straight", device)
    straight.fit()
    for stop in (1, 7, 8, 23, 39):
        folder = tmp_path / str(stop)
        first = trainer(folder, device)
        real_advance = first.advance

        def advance_and_signal(run: Trainer = first, go_on: object = real_advance, at: int = stop) -> object:
            if run.step == at:
                os.kill(os.getpid(), signal.SIGTERM)
            return go_on()

        first.advance = advance_and_signal
        with pytest.raises(Interrupted, match=f"stopped by signal 15 at step {stop + 1} of 40") as caught:
            first.fit()
        assert caught.value.exit_code == 143
        second = trainer(folder, device)
        second.fit()
        assert_same(straight, second)


def test_a_torn_checkpoint_is_passed_over_for_the_one_before(device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    straight = trainer(tmp_path / "straight", device)
    straight.fit()
    newest, previous = sorted((tmp_path / "straight").glob("*.safetensors"), reverse=True)
    newest.write_bytes(newest.read_bytes()[:-10])
    again = trainer(tmp_path / "straight", device)
    again.fit()
    assert_same(straight, again)
    message = capsys.readouterr().err
    assert f"{newest.name}: torn or corrupted" in message
    assert f"resumed at step {int(previous.name.partition('-')[0])} of 40" in message


def test_another_seed_is_another_run(device: Device, tmp_path: Path) -> None:
    one, other = trainer(tmp_path / "a", device), trainer(tmp_path / "b", device, seed=1)
    one.fit(), other.fit()
    assert not torch.equal(one.model.right.weight, other.model.right.weight)


def test_a_diverged_run_names_method_player_and_step(device: Device, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="the loss of player `right` became nan at step 6 of 40.*under `two`"):
        trainer(tmp_path, device, lambda: TwoPlayers(spoil_at=7)).fit()
    assert not list(tmp_path.glob("*-*.safetensors")) or max(int(p.name[:10]) for p in tmp_path.glob("*-*.safetensors")) <= 6


def test_a_player_moves_only_its_own_parameters(device: Device, tmp_path: Path) -> None:
    run = trainer(tmp_path, device)
    before = run.model.left[1].weight.clone()
    run.move("right", run.model.right(torch.randn(3, 256)).sum() + run.model.left(torch.randn(3, 1, 16, 16)).sum())
    assert torch.equal(before, run.model.left[1].weight)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    rates = [learning_rate(CHOSEN, 1.0, step / 100) for step in range(100)]
    assert rates[0] == pytest.approx(1e-3) and rates[5] == pytest.approx(0.5)
    assert set(rates[10:50]) == {1.0}
    assert rates[75] == pytest.approx(0.5) and rates[99] == pytest.approx(0.02)


def test_checkpoints_fall_on_intervals_and_on_the_end() -> None:
    plan = Plan.of(CHOSEN, TRAIN, reals_per_update=1)
    assert plan == Plan(steps=40, batch=16, interval=4, checkpoint=8)
    assert [step for step in range(1, 41) if plan.is_due(step, plan.checkpoint)] == [8, 16, 24, 32, 40]


def test_the_average_has_the_stated_half_life() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = Average(model, halflife=1000.0)
    nn.init.ones_(model.weight)
    for _ in range(100):
        average.update(model, images_seen=10**9, images=10)
    assert average.model.weight.item() == pytest.approx(0.5, abs=1e-4)


def test_streams_of_one_purpose_never_meet() -> None:
    seeds = [randomness.stream_seed(0, Purpose.TRAIN, step, of="gan") for step in range(10_000)]
    assert len(set(seeds)) == 10_000
    assert (randomness.stream_seed(0, Purpose.TRAIN, 1, of="gan") != randomness.stream_seed(0, Purpose.SAMPLE, 1)
            != randomness.stream_seed(1, Purpose.SAMPLE, 1))
    assert len({randomness.stream_seed(0, Purpose.TRAIN, 1, of=name) for name in ("gan", "vae", "")}) == 3


def test_any_stretch_of_the_order_can_be_asked_for() -> None:
    whole = randomness.Order(7, 0).indices(0, 50)
    assert sorted(whole[:7].tolist()) == list(range(7)) == sorted(whole[7:14].tolist())
    assert whole[:7].tolist() != whole[7:14].tolist()
    order = randomness.Order(7, 0)
    for start, length in ((20, 3), (0, 1), (13, 15), (2, 40)):
        assert torch.equal(order.indices(start, length), whole[start:start + length])
