"""The loop's result depends on what was asked for, never on how often it was stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aigc.core.errors import AigcError, DivergedError, Interrupted
from aigc.core.runtime import Device
from aigc.model.contract import MethodConfig, Player, Shape, Trainable
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.ema import EMA
from aigc.training.feed import Feed
from aigc.training.loop import Schedule, Trainer, learning_rate

SHAPE = Shape(1, 16, 2)
CONFIG = MethodConfig(images=640, batch_size=16, ema_halflife=100.0, warmup=0.1, decay=0.5)
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
        return {
            "left": Player(list(self.left.parameters()), 1e-2),
            "right": Player(list(self.right.parameters()), 1e-3),
        }

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        self.calls += 1
        yield "left", (self.left(real) - torch.randn(len(real), 1, generator=rng)).square().mean()
        loss = self.right(real.flatten(1)).square().mean() * self.left(real).mean()
        yield "right", loss * (float("nan") if self.calls == self.spoil_at else 1.0)


def trainer(folder: Path, device: Device, build: object = TwoPlayers, seed: int = 0) -> Trainer:
    return Trainer("two", build, Feed(IMAGES, np.zeros(50, np.int64), seed, device), CONFIG,
                   TrainConfig(seed=seed, intervals=10, checkpoints=5), device, Checkpoints(folder))


def state(run: Trainer) -> dict[str, Tensor]:
    return {**run.model.state_dict(), **{f"average.{k}": v for k, v in run.ema.model.state_dict().items()}}


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
        train_step = first.train_step

        def step_after_signal(run: Trainer = first, go_on: object = train_step, at: int = stop) -> object:
            if run.step == at:
                os.kill(os.getpid(), signal.SIGTERM)
            return go_on()

        first.train_step = step_after_signal
        with pytest.raises(Interrupted, match=f"stopped by signal 15 at step {stop + 1} of 40") as caught:
            first.fit()
        assert caught.value.exit_code == 143
        second = trainer(folder, device)
        second.fit()
        assert_same(straight, second)


def test_a_torn_checkpoint_is_passed_over_for_the_one_before(
    device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    with pytest.raises(
        DivergedError, match="the loss of player `right` became nan at step 6 of 40.*under `two`"
    ):
        trainer(tmp_path, device, lambda: TwoPlayers(spoil_at=7)).fit()
    assert (
        not list(tmp_path.glob("*-*.safetensors"))
        or max(int(p.name[:10]) for p in tmp_path.glob("*-*.safetensors")) <= 6
    )


def test_a_player_moves_only_its_own_parameters(device: Device, tmp_path: Path) -> None:
    run = trainer(tmp_path, device)
    before = run.model.left[1].weight.clone()
    run.differentiate(
        "right", run.model.right(torch.randn(3, 256)).sum() + run.model.left(torch.randn(3, 1, 16, 16)).sum()
    )
    run.optimizer_step("right")
    assert torch.equal(before, run.model.left[1].weight)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    rates = [learning_rate(CONFIG, 1.0, step / 100) for step in range(100)]
    assert rates[0] == pytest.approx(1e-3) and rates[5] == pytest.approx(0.5)
    assert set(rates[10:50]) == {1.0}
    assert rates[75] == pytest.approx(0.5) and rates[99] == pytest.approx(0.02)


def test_the_learning_rate_of_a_part_of_the_run_is_that_of_a_whole_run_within_it() -> None:
    whole = [learning_rate(CONFIG, 1.0, step / 50) for step in range(50)]
    second = [learning_rate(CONFIG, 1.0, step / 100, (0.5, 1.0)) for step in range(50, 100)]
    assert second == pytest.approx(whole)
    assert {learning_rate(CONFIG, 1.0, step / 100, (0.5, 1.0)) for step in range(50)} == {0.0}
    assert {learning_rate(CONFIG, 1.0, step / 100, (0.0, 0.5)) for step in range(51, 100)} == {0.0}


class InTurn(TwoPlayers):
    """The left player learns in the first three quarters of the run, the right one in the last half."""

    def players(self) -> dict[str, Player]:
        left, right = super().players().values()
        return {"left": Player(left.parameters, 1e-2, share=(0.0, 0.75)),
                "right": Player(right.parameters, 1e-3, share=(0.5, 1.0))}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        for player, loss in super().updates(real, labels, rng):
            start, end = self.players()[player].share
            if start <= self.progress < end:
                yield player, loss


def test_a_row_of_history_has_the_players_that_learned_in_its_interval_before_and_after_a_kill(
    device: Device, tmp_path: Path
) -> None:
    straight = trainer(tmp_path / "straight", device, InTurn)
    straight.fit()
    named = [{name.partition("/")[2] for name in row} - {""} for row in straight.history]
    assert named == [{"left"}] * 5 + [{"left", "right"}] * 3 + [{"right"}] * 2
    assert straight.columns == ["step", "images", "loss/left", "gradient_norm/left", "learning_rate/left",
                                "loss/right", "gradient_norm/right", "learning_rate/right"]
    again = trainer(tmp_path / "straight", device, InTurn)
    again.fit()  # from the last checkpoint
    assert_same(straight, again)
    for stop in (9, 22, 33):
        killed = trainer(tmp_path / str(stop), device, InTurn)
        while killed.step < stop:
            killed.pending += killed.train_step()
            if killed.schedule.is_due(killed.step, killed.schedule.interval):
                killed.history.append(killed.history_row())
                killed.pending.clear()
        killed.save()
        resumed = trainer(tmp_path / str(stop), device, InTurn)
        resumed.fit()
        assert_same(straight, resumed)


def test_checkpoints_fall_on_intervals_and_on_the_end() -> None:
    schedule = Schedule.from_config(CONFIG, TRAIN, batches_per_update=1)
    assert schedule == Schedule(steps=40, batch=16, interval=4, checkpoint=8)
    assert [step for step in range(1, 41) if schedule.is_due(step, schedule.checkpoint)] == [
        8,
        16,
        24,
        32,
        40,
    ]


def test_the_average_has_the_stated_half_life() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = EMA(model, halflife=1000.0)
    nn.init.ones_(model.weight)
    for _ in range(100):
        average.update(model, images_seen=10**9, images=10)
    assert average.model.weight.item() == pytest.approx(0.5, abs=1e-4)


class OutOfMemory(TwoPlayers):
    """Raises `error` at the second step, where no probe is; without one, asks for endless memory."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        yield from super().updates(real, labels, rng)
        if self.progress == 1 / 40:
            if self.error:
                raise self.error
            torch.empty(10**15)


@pytest.mark.parametrize("error", [
    None, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, max allowed: 9.07 GB)")], ids=str)
def test_out_of_memory_is_one_line_that_names_batch_size(device: Device, tmp_path: Path,
                                                         error: Exception | None) -> None:
    with pytest.raises(AigcError) as caught:
        trainer(tmp_path, device, lambda: OutOfMemory(error)).fit()
    assert str(caught.value) == (
        "out of memory on cpu at step 1 of 40; a smaller `batch_size` (now 16) under `two` "
        "in params.yaml is the first remedy"
    )


def test_another_error_of_torch_is_not_taken_for_a_lack_of_memory(device: Device, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        trainer(tmp_path, device, lambda: OutOfMemory(RuntimeError("shapes cannot be multiplied"))).fit()


def test_a_step_of_adam_is_torchs_own_and_imports_no_compiler() -> None:
    code = """
import sys, torch
from aigc.training.loop import Adam
found = []
for kind in (Adam, torch.optim.Adam):
    weight = torch.nn.Parameter(torch.linspace(-1, 1, 7))
    optimizer = kind([weight], lr=0.1, betas=(0.5, 0.9), fused=True)
    for step in range(4):
        optimizer.zero_grad()
        (weight ** 3).sum().backward()
        optimizer.step()
        if step == 1:
            optimizer.load_state_dict(optimizer.state_dict())
    found.append((weight.detach().clone(), optimizer.state_dict()["state"][0]["exp_avg_sq"]))
    if kind is Adam:
        print("torch._dynamo" in sys.modules)
print(all(map(torch.equal, *found)))
"""
    said = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "src"}, capture_output=True,
                          text=True, check=True).stdout
    assert said == "False\nTrue\n"
