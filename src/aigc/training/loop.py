"""The loop that trains every method. It sees only players and losses.

Its result is a function of the method, the data, the config and the seed. Interruptions, checkpoints and
observers do not change it.
"""

import inspect
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from aigc.core import paths, randomness
from aigc.core.errors import AigcError, DivergedError, Interrupted, is_out_of_memory
from aigc.core.process import StopRequest
from aigc.core.randomness import Purpose
from aigc.core.runtime import Device
from aigc.data.pictures import Pictures
from aigc.model.contract import Method, MethodConfig, Player, Trainable
from aigc.training import checkpoint, memory, progress
from aigc.training.config import TrainConfig
from aigc.training.ema import EMA, refresh_batch_statistics
from aigc.training.feed import Feed
from aigc.training.observer import Row

PER_PLAYER = ("loss", "gradient_norm", "learning_rate")  # of a row of history
STATISTICS_PASSES = 20  # batches of samples that BatchNorm statistics are estimated from

Outcome = tuple[int, str, Tensor, Tensor]  # (step, player, loss, gradient norm)
AfterCheckpoint = Callable[[list[Row], Any], None]  # arguments: history so far, averaged model in eval mode


@dataclass(frozen=True)
class Schedule:
    """Lengths in steps of `batch` images: of the run, of an interval of history, between checkpoints."""

    steps: int
    batch: int
    interval: int
    checkpoint: int

    @classmethod
    def from_config(cls, config: MethodConfig, train: TrainConfig, batches_per_update: int) -> "Schedule":
        """The number of images is rounded up to whole steps of batch_size * batches_per_update."""
        batch = config.batch_size * batches_per_update
        steps = math.ceil(config.images / batch)
        interval = math.ceil(steps / train.intervals)
        return cls(steps, batch, interval, interval * (train.intervals // train.checkpoints))

    def is_due(self, step: int, every: int) -> bool:
        """Whether something that is due every `every` steps, and at the end, is due after `step` steps."""
        return step % every == 0 or step == self.steps


def learning_rate(config: MethodConfig, peak: float, progress: float,
                  share: tuple[float, float] = (0.0, 1.0)) -> float:
    """Linear warm-up over the first share `warmup` of the run, linear decay to 0 over its last share `decay`.

    progress: the share of the run that is done, in [0, 1). share: the part of the run that counts as the
    whole run (see Player); outside it the learning rate is 0.
    """
    start, end = share
    progress = (progress - start) / (end - start)
    if not 0 <= progress <= 1:
        return 0.0
    rising = progress / config.warmup if config.warmup else 1.0
    falling = (1 - progress) / config.decay if config.decay else 1.0
    return peak * min(1.0, max(rising, 1e-3), falling)


class Trainer:
    """One training: the model, its average, the optimizers and the history. `fit` runs it.

    stream: part of the random seeds, so results depend on it. label: the name in messages, default `stream`.
    checkpoints: None = nothing is saved, and nothing can be resumed.
    """

    def __init__(self, stream: str, build: Callable[[], Trainable], feed: Feed, config: MethodConfig,
                 train: TrainConfig, device: Device, checkpoints: checkpoint.Checkpoints | None = None,
                 label: str = "") -> None:
        self.stream, self.label = stream, label or stream
        self.feed, self.config, self.train, self.device = feed, config, train, device
        memory.check_weights(self.label, build, config, device)
        torch.manual_seed(randomness.stream_seed(train.seed, Purpose.INITIAL_WEIGHTS, of=stream))
        self.model = build()
        if checkpoints is None or checkpoints.is_empty():  # a batch that was trained on fits
            memory.check_batch(self.label, self.model, config, device, train.shards)
        self.model.place_on(device)
        self.ema = EMA(self.model, config.ema_halflife)
        if device.compiles:
            for network in self.model.children():
                network.compile(dynamic=False)
        self.players = self.model.players()
        self.optimizers = {player: _adam(part, device) for player, part in self.players.items()}
        self.schedule = Schedule.from_config(config, train, self.model.batches_per_update)
        self.checkpoints, self.stop_request = checkpoints, StopRequest()
        self.history: list[Row] = []
        self.pending: list[Outcome] = []
        self.step = 0

    @classmethod
    def on(cls, pictures: Pictures, stream: str, build: Callable[[], Trainable], config: MethodConfig,
           train: TrainConfig, device: Device, checkpoints: checkpoint.Checkpoints | None = None,
           label: str = "") -> Self:
        """A trainer on `pictures`, with the order and the augmentation of `train`."""
        feed = Feed(pictures.images, pictures.labels, train.seed, device, train.balanced, train.mirror,
                    train.shift, train.crop)
        return cls(stream, build, feed, config, train, device, checkpoints, label)

    def fit(self, after_checkpoint: AfterCheckpoint | None = None) -> Trainable:
        """Train to the end, from the last checkpoint if any; returns the averaged model in eval mode.

        Raises DivergedError at the first loss or gradient that is not finite, Interrupted after SIGTERM or
        SIGINT, AigcError when memory runs out.
        """
        with self.explaining_out_of_memory():
            self.resume()
            if after_checkpoint and self.history:
                after_checkpoint(self.history, self.ema.model.eval())
            self.run_steps(after_checkpoint)
            self.finish()
        return self.ema.model

    def run_steps(self, after_checkpoint: AfterCheckpoint | None) -> None:
        """All steps that are left, with history, checkpoints and progress bar."""
        told = progress.bar(self.label, self.step, self.schedule.steps, self.schedule.batch)
        with self.stop_request, told as bar:
            while self.step < self.schedule.steps:
                self.pending += self.train_step()
                bar.update()
                if self.schedule.is_due(self.step, self.schedule.interval):
                    self.history.append(self.history_row())
                    self.pending.clear()
                if self.schedule.is_due(self.step, self.schedule.checkpoint):
                    self.save()
                    if after_checkpoint:
                        after_checkpoint(self.history, self.ema.model.eval())
                if number := self.signal_to_stop():
                    self.stop(number)

    def train_step(self) -> list[Outcome]:
        """One step of every player. The outcomes stay on the device: reading them would wait for the GPU."""
        self.model.train()
        self.model.progress = self.step / self.schedule.steps
        outcomes = [(self.step, player, loss, self.optimizer_step(player))
                    for player, loss in self.gradients()]
        self.step += 1
        self.ema.update(self.model, self.step * self.schedule.batch, self.schedule.batch)
        return outcomes

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """Yield (player, loss) of one step, each with the gradient in that player's parameters.

        Whoever iterates steps the player's optimizer before the next.
        """
        updates = self.updates(self.step, self.schedule.batch)
        while update := self.next_update(updates):
            player, loss = update
            self.differentiate(player, loss)
            yield player, loss.detach()

    def updates(self, number: int, size: int, following: int | None = None) -> Iterator[tuple[str, Tensor]]:
        """The method's updates on batch `number` of `size` images. following: as for `Feed.batch`."""
        real, labels = self.feed.batch(number, size, following)
        rng = randomness.generator(self.train.seed, Purpose.TRAIN, number, self.device.torch_device,
                                   of=self.stream)
        if self.device.channels_last:
            real = real.contiguous(memory_format=torch.channels_last)
        return self.model.updates(real, labels, rng)

    def next_update(self, updates: Iterator[tuple[str, Tensor]]) -> tuple[str, Tensor] | None:
        """The next player and its loss; None at the end of the step."""
        with self.device.autocast():
            return next(updates, None)

    def differentiate(self, player: str, loss: Tensor) -> None:
        """Set the gradient of one player's parameters, and of no others, to that of `loss`."""
        self.optimizers[player].zero_grad()
        loss.backward(inputs=self.players[player].parameters)

    def optimizer_step(self, player: str) -> Tensor:
        """Step one player's optimizer by the gradient of its parameters; returns the gradient's norm."""
        parameters, optimizer = self.players[player].parameters, self.optimizers[player]
        optimizer.param_groups[0]["lr"] = self.learning_rate(player)
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        optimizer.step()
        return norm

    def learning_rate(self, player: str) -> float:
        """The learning rate of one player at this step."""
        part = self.players[player]
        return learning_rate(self.config, part.learning_rate, self.step / self.schedule.steps, part.share)

    @property
    def columns(self) -> list[str]:
        """The keys of a row of history. A row lacks those of a player that had no update in its interval."""
        return ["step", "images", *(f"{kind}/{player}" for player in self.players for kind in PER_PLAYER)]

    def history_row(self) -> Row:
        """The means over an interval. Raises DivergedError at the first value that is not finite."""
        row: Row = {"step": self.step, "images": self.step * self.schedule.batch}
        numbers = _numbers(self.pending)
        for (step, player, *_), pair in zip(self.pending, numbers.tolist(), strict=True):
            for name, value in zip(("loss", "gradient"), pair, strict=True):
                if not math.isfinite(value):
                    raise DivergedError(
                        f"the {name} of player `{player}` became {value} at step {step} of "
                        f"{self.schedule.steps}; a smaller learning rate under `{self.label}` in "
                        f"{paths.PARAMS} is the first remedy")
        for player in self.players:
            of_player = numbers[[name == player for _, name, *_ in self.pending]]
            if len(of_player):
                values = (*of_player.mean(0).tolist(), self.learning_rate(player))
                row |= {f"{kind}/{player}": value for kind, value in zip(PER_PLAYER, values, strict=True)}
        return row

    def save(self) -> None:
        """Write everything that changes to a checkpoint."""
        if self.checkpoints is None:
            return
        tensors = checkpoint.pack(self._modules(), self.optimizers)
        tensors["history"] = torch.tensor([[row.get(column, math.nan) for column in self.columns]
                                           for row in self.history], dtype=torch.float64)
        tensors["pending"] = _numbers(self.pending)
        self.checkpoints.save(self.step, tensors, {"step": self.step, "columns": self.columns,
                                                   "pending": [outcome[:2] for outcome in self.pending]})

    def resume(self) -> None:
        """Continue from the newest whole checkpoint, if there is one."""
        latest = self.checkpoints.latest() if self.checkpoints else None
        if latest is None:
            return
        tensors, metadata = latest
        history = tensors.pop("history").tolist()
        pending = tensors.pop("pending").float().to(self.device.torch_device)
        checkpoint.unpack(tensors, self._modules(), self.optimizers)
        self.step = metadata["step"]
        self.history = [{column: value for column, value in zip(metadata["columns"], row, strict=True)
                         if not math.isnan(value)} for row in history]
        self.pending = [(step, player, *numbers)
                        for (step, player), numbers in zip(metadata["pending"], pending, strict=True)]
        print(f"{self.label}: resumed at step {self.step} of {self.schedule.steps}", file=sys.stderr)

    def _modules(self) -> dict[str, nn.Module]:
        return {"model": self.model, "average": self.ema.model}

    def signal_to_stop(self) -> int:
        """The signal that asks to stop after this step, 0 = none."""
        return self.stop_request.signal_number

    def stop(self, signal_number: int) -> None:
        """Save at this step and raise Interrupted."""
        self.save()
        raise Interrupted(f"stopped by signal {signal_number} at step {self.step} of {self.schedule.steps}; "
                          "run again to go on from there", signal_number)

    @contextmanager
    def explaining_out_of_memory(self) -> Iterator[None]:
        """Turn torch's out-of-memory errors into one line with the remedy."""
        try:
            yield
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise AigcError(f"out of memory on {self.device.torch_device} at step {self.step} of "
                            f"{self.schedule.steps}; a smaller `batch_size` (now {self.config.batch_size}) "
                            f"under `{self.label}` in {paths.PARAMS} is the first remedy") from error

    @torch.no_grad()
    def finish(self) -> None:
        """Estimate the averaged model's BatchNorm statistics, and fit what the method fits after training."""
        average = self.ema.model.eval()
        if not isinstance(average, Method):
            return
        batch = torch.arange(self.config.batch_size, device=self.device.torch_device)

        def sample_once(index: int) -> None:
            labels = (batch + index * len(batch)) % max(1, average.shape.classes)
            rng = randomness.generator(self.train.seed, Purpose.BATCH_STATISTICS, index,
                                       self.device.torch_device, of=self.stream)
            with average.autocast():
                average.sample(labels, rng)

        refresh_batch_statistics(average, STATISTICS_PASSES, sample_once)
        average.fit_after_training(self.feed.all(self.config.batch_size),
                                   randomness.stream_seed(self.train.seed, Purpose.CONCLUDE, of=self.stream))


def _numbers(outcomes: list[Outcome]) -> Tensor:
    """(loss, gradient norm) of each outcome: float64 (len(outcomes), 2) on the CPU."""
    if not outcomes:
        return torch.empty(0, 2, dtype=torch.float64)
    return torch.stack([torch.stack([loss, norm]).float() for *_, loss, norm in outcomes]).cpu().double()


class Adam(torch.optim.Adam):
    """torch's, without the wrappers of its methods: they import torch's compiler, which takes seconds."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)


def _adam(player: Player, device: Device) -> torch.optim.Optimizer:
    return Adam(player.parameters, lr=player.learning_rate, betas=player.betas,
                fused=device.torch_device.type in ("cpu", "cuda"))
