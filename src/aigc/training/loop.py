"""The loop that trains every method. It knows players and losses, and nothing of what they mean.

Its result is a function of the method, the data, the config and the seed: not of when it was interrupted, how often
it saved, or who watched.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from tqdm import tqdm

from aigc.core import paths, randomness
from aigc.core.errors import DivergedError, Interrupted
from aigc.core.process import StopRequest
from aigc.core.randomness import Purpose
from aigc.core.runtime import Device
from aigc.data.pictures import Pictures
from aigc.model.contract import Method, MethodConfig, Player, Trainable
from aigc.training import checkpoint
from aigc.training.config import TrainConfig
from aigc.training.ema import Average, refresh_batch_statistics
from aigc.training.feed import Feed
from aigc.training.observer import Row

STATISTICS_PASSES = 20

Outcome = tuple[int, str, Tensor, Tensor]  # (step, player, loss, gradient norm)
Watcher = Callable[[list[Row], Any], None]  # (history so far, the averaged model in eval mode), after each checkpoint


@dataclass(frozen=True)
class Plan:
    """The length of a run in steps, and where its intervals end."""

    steps: int
    batch: int
    interval: int
    checkpoint: int

    @classmethod
    def of(cls, config: MethodConfig, train: TrainConfig, reals_per_update: int) -> "Plan":
        """The number of images is rounded up to whole steps of batch_size * reals_per_update."""
        batch = config.batch_size * reals_per_update
        steps = math.ceil(config.images / batch)
        interval = math.ceil(steps / train.intervals)
        return cls(steps, batch, interval, interval * (train.intervals // train.checkpoints))

    def is_due(self, step: int, every: int) -> bool:
        """Whether something that happens every so many steps, and at the end, happens after `step` steps."""
        return step % every == 0 or step == self.steps


def learning_rate(config: MethodConfig, peak: float, progress: float) -> float:
    """Linear warm-up over the first share `warmup` of the run, linear decay to 0 over its last share `decay`.

    progress: share of the run that is done, in [0, 1).
    """
    rising = progress / config.warmup if config.warmup else 1.0
    falling = (1 - progress) / config.decay if config.decay else 1.0
    return peak * min(1.0, max(rising, 1e-3), falling)


class Trainer:
    """One training: the model, its average, the optimizers, the history; `fit` takes them to the end.

    stream: names the streams of random numbers, so results depend on it. label: what a person is shown. Without
    checkpoints nothing is saved and nothing can be resumed.
    """

    def __init__(self, stream: str, build: Callable[[], Trainable], feed: Feed, config: MethodConfig, train: TrainConfig,
                 device: Device, checkpoints: checkpoint.Checkpoints | None = None, label: str = "") -> None:
        self.stream, self.label = stream, label or stream
        self.feed, self.config, self.train, self.device = feed, config, train, device
        torch.manual_seed(randomness.stream_seed(train.seed, Purpose.INITIAL_WEIGHTS, of=stream))
        layout = torch.channels_last if device.channels_last else torch.contiguous_format
        self.model = build().to(device.torch_device)
        self.model.to(memory_format=layout)
        self.average = Average(self.model, config.ema_halflife)
        self.players = self.model.players()
        self.optimizers = {player: _adam(part, device) for player, part in self.players.items()}
        self.plan = Plan.of(config, train, self.model.reals_per_update)
        self.checkpoints = checkpoints
        self.history: list[Row] = []
        self.pending: list[Outcome] = []
        self.step = 0

    @classmethod
    def on(cls, pictures: Pictures, stream: str, build: Callable[[], Trainable], config: MethodConfig,
           train: TrainConfig, device: Device, checkpoints: checkpoint.Checkpoints | None = None,
           label: str = "") -> Self:
        """A trainer that learns from `pictures`, altered as `train` says."""
        feed = Feed(pictures.images, pictures.labels, train.seed, device, train.balanced, train.mirror, train.shift,
                    train.crop)
        return cls(stream, build, feed, config, train, device, checkpoints, label)

    def fit(self, observe: Watcher | None = None) -> Trainable:
        """Train to the end (from the last checkpoint, if there is one) and return the average, ready to sample.

        Raises DivergedError at the first loss or gradient that is not finite, Interrupted after SIGTERM or SIGINT.
        """
        self.resume()
        if observe and self.history:
            observe(self.history, self.average.model.eval())
        with StopRequest() as stop, tqdm(total=self.plan.steps, initial=self.step, desc=f"train {self.label}",
                                         unit="step", disable=None, file=sys.stderr) as bar:
            while self.step < self.plan.steps:
                self.pending += self.advance()
                bar.update()
                if self.plan.is_due(self.step, self.plan.interval):
                    self.history.append(self.summarise())
                    self.pending.clear()
                if self.plan.is_due(self.step, self.plan.checkpoint):
                    self.save()
                    if observe:
                        observe(self.history, self.average.model.eval())
                if stop.signal_number:
                    self.stop(stop.signal_number)
        self.finish()
        return self.average.model

    def advance(self) -> list[Outcome]:
        """One step of every player; the outcomes stay on the device."""
        real, labels = self.feed.batch(self.step, self.plan.batch)
        rng = randomness.generator(self.train.seed, Purpose.TRAIN, self.step, self.device.torch_device, of=self.stream)
        if self.device.channels_last:
            real = real.contiguous(memory_format=torch.channels_last)
        outcomes = []
        self.model.train()
        self.model.progress = self.step / self.plan.steps
        updates = self.model.updates(real, labels, rng)
        while True:
            with self.device.autocast():
                update = next(updates, None)
            if update is None:
                break
            player, loss = update
            outcomes.append((self.step, player, loss.detach(), self.move(player, loss)))
        self.step += 1
        self.average.update(self.model, self.step * self.plan.batch, self.plan.batch)
        return outcomes

    def move(self, player: str, loss: Tensor) -> Tensor:
        """Step one player's optimizer down `loss`; returns the norm of the gradient."""
        parameters, optimizer = self.players[player].parameters, self.optimizers[player]
        optimizer.param_groups[0]["lr"] = self.rate(player)
        optimizer.zero_grad()
        loss.backward(inputs=parameters)
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        optimizer.step()
        return norm

    def rate(self, player: str) -> float:
        return learning_rate(self.config, self.players[player].learning_rate, self.step / self.plan.steps)

    def summarise(self) -> Row:
        """One row of history from the outcomes of an interval. Raises DivergedError naming the first bad one."""
        row: Row = {"step": self.step, "images": self.step * self.plan.batch}
        numbers = _numbers(self.pending)
        for (step, player, *_), pair in zip(self.pending, numbers.tolist(), strict=True):
            for what, value in zip(("loss", "gradient"), pair, strict=True):
                if not math.isfinite(value):
                    raise DivergedError(
                        f"the {what} of player `{player}` became {value} at step {step} of {self.plan.steps}; "
                        f"a smaller learning rate under `{self.label}` in {paths.PARAMS} is the first remedy")
        for player in self.players:
            mean = numbers[[who == player for _, who, *_ in self.pending]].mean(0)
            row[f"loss/{player}"], row[f"gradient_norm/{player}"] = mean.tolist()
            row[f"learning_rate/{player}"] = self.rate(player)
        return row

    def save(self) -> None:
        """Write everything that changes to a checkpoint."""
        if self.checkpoints is None:
            return
        tensors = checkpoint.pack(self._modules(), self.optimizers)
        columns = list(self.history[0]) if self.history else []
        tensors["history"] = torch.tensor([[row[column] for column in columns] for row in self.history],
                                          dtype=torch.float64)
        tensors["pending"] = _numbers(self.pending)
        self.checkpoints.save(self.step, tensors, {"step": self.step, "columns": columns,
                                                   "pending": [outcome[:2] for outcome in self.pending]})

    def resume(self) -> None:
        """Go back to the newest whole checkpoint, if there is one."""
        found = self.checkpoints.latest() if self.checkpoints else None
        if found is None:
            return
        tensors, metadata = found
        history = tensors.pop("history").tolist()
        pending = tensors.pop("pending").float().to(self.device.torch_device)
        checkpoint.unpack(tensors, self._modules(), self.optimizers)
        self.step = metadata["step"]
        self.history = [dict(zip(metadata["columns"], row, strict=True)) for row in history]
        self.pending = [(step, player, *numbers) for (step, player), numbers in zip(metadata["pending"], pending, strict=True)]
        print(f"{self.label}: resumed at step {self.step} of {self.plan.steps}", file=sys.stderr)

    def _modules(self) -> dict[str, nn.Module]:
        return {"model": self.model, "average": self.average.model}

    def stop(self, signal_number: int) -> None:
        """Save at this step and leave."""
        self.save()
        raise Interrupted(f"stopped by signal {signal_number} at step {self.step} of {self.plan.steps}; "
                          "run again to go on from there", signal_number)

    @torch.no_grad()
    def finish(self) -> None:
        """Give the average normalisation statistics of its own, and whatever the method fits after training."""
        average = self.average.model.eval()
        if not isinstance(average, Method):
            return
        batch = torch.arange(self.config.batch_size, device=self.device.torch_device)

        def sample_once(index: int) -> None:
            labels = (batch + index * len(batch)) % max(1, average.shape.classes)
            rng = randomness.generator(self.train.seed, Purpose.BATCH_STATISTICS, index, self.device.torch_device,
                                       of=self.stream)
            average.sample(labels, rng)

        refresh_batch_statistics(average, STATISTICS_PASSES, sample_once)
        average.conclude(self.feed.all(self.config.batch_size),
                         randomness.stream_seed(self.train.seed, Purpose.CONCLUDE, of=self.stream))


def _numbers(outcomes: list[Outcome]) -> Tensor:
    """(loss, gradient norm) of each outcome: float64 (len(outcomes), 2) on the CPU."""
    if not outcomes:
        return torch.empty(0, 2, dtype=torch.float64)
    return torch.stack([torch.stack([loss, norm]).float() for *_, loss, norm in outcomes]).cpu().double()


def _adam(player: Player, device: Device) -> torch.optim.Optimizer:
    return torch.optim.Adam(player.parameters, lr=player.learning_rate, betas=player.betas,
                            fused=device.torch_device.type in ("cpu", "cuda"))
