"""One training in several processes, to the same bytes: a batch is `train.shards` parts, summed in fixed
order.

Shard m of a step is a batch of its own, number step * shards + m, with the random numbers of that number. The
gradients of the shards are summed in pairs, and the pairs in pairs: 1, 2, 4, ... processes add the same
numbers in the same order. Everything else (the optimizers, the average) each process computes for itself.

`launch.py` starts the processes; `join` makes them a team. Rank 0 alone writes. Methods know nothing of this.
"""

import itertools
import json
import os
import platform
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from aigc.core import files, process, randomness
from aigc.core.errors import AigcError, ConfigError, DivergedError, Interrupted, is_out_of_memory
from aigc.core.randomness import Purpose
from aigc.core.runtime import Device
from aigc.core.sharing import DEVICES
from aigc.networks.convolutional import MinibatchStdDev
from aigc.training.checkpoint import Checkpoints, difference
from aigc.training.config import TrainConfig
from aigc.training.loop import Trainer

BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
TIMEOUT = timedelta(minutes=30)  # of a collective: rank 0 may write, or wait for MLflow's store, in between
MEET_SECONDS = 300  # in which all processes must have started
STOP_STEPS = 16  # on a GPU: to read whether to stop, the host waits for the GPU
STOPPING = (signal.SIGTERM, signal.SIGINT)
FEWEST_PICTURES = 16  # a shard; batch statistics of fewer are poor (docs/scaling.md)
SEE_BATCH = nn.modules.batchnorm._BatchNorm, MinibatchStdDev


class LostContact(AigcError):
    """Another process of the team is gone. Its own error says more."""


def pairwise_sum(parts: Iterable[Tensor]) -> Tensor:
    """((p0 + p1) + (p2 + p3)) + ... of a power of two of tensors.

    A half (or quarter, ...) of the parts can be summed elsewhere: the result has the same bits.
    """
    sums: list[Tensor] = []
    for count, part in enumerate(parts, 1):
        while count % 2 == 0:
            count, part = count // 2, sums.pop() + part
        sums.append(part)
    total, = sums
    return total


@dataclass(frozen=True)
class Team:
    """The processes that share a training. The default: this one alone."""

    rank: int = 0
    size: int = 1
    device: torch.device | str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, shards: int) -> range:
        """The shards that this process computes."""
        each = shards // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def sum(self, vector: Tensor) -> Tensor:
        """The pairwise sum of the vectors (P,) of all processes, in the order of their ranks.

        Each process sums one part of all vectors and gives it to the others: the traffic of a ring.
        """
        if self.size == 1:
            return vector
        sent = F.pad(vector, (0, -len(vector) % self.size))
        received, whole = torch.empty_like(sent), torch.empty_like(sent)
        with _in_contact():
            dist.all_to_all_single(received, sent)
            dist.all_gather_single(whole, pairwise_sum(received.view(self.size, -1)))
        return whole[:len(vector)]

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Copy the bytes of rank 0's tensors into those of the others."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.detach().reshape(-1).view(torch.uint8) for tensor in tensors])
        with _in_contact():
            dist.broadcast(flat, 0)
        for tensor, piece in zip(tensors, flat.split([tensor.nbytes for tensor in tensors]), strict=True):
            tensor.copy_(piece.clone().view(tensor.dtype).view(tensor.shape))

    def broadcast_bytes(self, content: bytes) -> bytes:
        """Rank 0's content. Nothing is pickled."""
        length = torch.tensor([len(content)], device=self.device)
        self.broadcast([length])
        data = torch.zeros(int(length), dtype=torch.uint8, device=self.device)
        if self.leads:
            data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        self.broadcast([data])
        return data.cpu().numpy().tobytes()


@contextmanager
def _in_contact() -> Iterator[None]:
    """Turn an error of a collective, which means that another process is gone, into LostContact."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise LostContact("a process that shares this training is gone or out of reach; run again to go on "
                          "from the last checkpoint") from error


@contextmanager
def join(device: Device, identity: Mapping[str, Any], train: TrainConfig) -> Iterator[Team]:
    """The team of this process: alone, unless torch's agent started it.

    identity: of the training. Raises ConfigError when that of two processes differs, when the processes do
    not divide the shards, or when the device cannot take part.
    """
    if not process.is_one_of_several():
        yield Team()
        return
    kind = device.torch_device.type
    if kind not in BACKENDS:
        raise ConfigError(f"several processes need CPUs or CUDA GPUs, not {kind}; unset {DEVICES}")
    if kind == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    with _in_contact():
        store, rank, size = next(dist.rendezvous("env://", timeout=timedelta(seconds=MEET_SECONDS)))
        train.check_processes(size)
        _compare(store, rank, size, identity)
        dist.init_process_group(BACKENDS[kind], store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    team = Team(rank, size, device.torch_device)
    try:
        yield team
    except (Interrupted, DivergedError):  # all raise it, and the agent ends the last when the first has ended
        with suppress(LostContact):
            team.broadcast([torch.zeros(1, device=team.device)])
        raise
    dist.destroy_process_group()


def _compare(store: dist.Store, rank: int, size: int, identity: Mapping[str, Any]) -> None:
    """Raises ConfigError, the same for all, unless all processes are to train the same."""
    store.set(f"training/{rank}", json.dumps({"host": platform.node(), "identity": identity}, sort_keys=True))
    first, *others = (json.loads(store.get(f"training/{other}")) for other in range(size))
    for other, found in enumerate(others, 1):
        if changes := difference(found["identity"], first["identity"]):
            raise ConfigError(f"process {other} on {found['host']} would train something else than process 0 "
                              f"on {first['host']} ({changes}); give both the same commit, params and data")


class SharedCheckpoints(Checkpoints):
    """Checkpoints that rank 0 alone reads and writes. The others get from it what it reads."""

    def __init__(self, folder: Path, identity: Mapping[str, Any], team: Team) -> None:
        super().__init__(folder, identity)
        self.team = team

    def start_anew_if_recorded(self) -> bool:
        return self.team.leads and super().start_anew_if_recorded()

    def is_empty(self) -> bool:
        return not self.team.leads or super().is_empty()

    def save(self, step: int, tensors: dict[str, Tensor], metadata: Any) -> None:
        if self.team.leads:
            super().save(step, tensors, metadata)

    def latest(self) -> tuple[dict[str, Tensor], Any] | None:
        found = super().latest() if self.team.leads else None
        if self.team.size == 1:
            return found
        from safetensors.torch import load

        tensors, metadata = found or ({}, None)
        metadata = json.loads(self.team.broadcast_bytes(json.dumps(metadata).encode()))
        content = self.team.broadcast_bytes(files.pack_tensors(tensors) if self.team.leads else b"")
        return None if metadata is None else (load(content), metadata)


class ShardedTrainer(Trainer):
    """A trainer whose batch is `train.shards` parts, which the processes of `team` share out.

    Statistics of a batch, such as those of batch normalisation, are those of a shard.
    """

    stops = torch.zeros(len(STOPPING))

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.team = self.checkpoints.team if isinstance(self.checkpoints, SharedCheckpoints) else Team()
        size = self.config.batch_size // self.train.shards
        if size < FEWEST_PICTURES and any(isinstance(layer, SEE_BATCH) for layer in self.model.modules()):
            print(f"warning: {self.label}: its batch statistics are those of a shard, which has {size} "
                  f"pictures; with fewer than {FEWEST_PICTURES} its samples get worse (`train.shards`, "
                  f"`{self.label}.batch_size`)", file=sys.stderr)

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """As Trainer.gradients; the loss and the gradient are the means over the shards."""
        seed, shards = self.train.seed, self.train.shards
        if shards > 1:
            self.model.shared_seed = randomness.stream_seed(seed, Purpose.SHARED, self.step, of=self.stream)
        numbers = [self.step * shards + shard for shard in self.team.share(shards)]
        following = [*numbers[1:], numbers[0] + shards]
        size = self.schedule.batch // shards
        updates = [self.updates(*which) for which in zip(numbers, itertools.repeat(size), following)]
        buffers = _Buffers(self.model, len(updates))
        while turn := self.turn(updates, buffers):
            yield turn
        buffers.settle(self.team)

    def turn(self, updates: list[Iterator[tuple[str, Tensor]]],
             buffers: "_Buffers") -> tuple[str, Tensor] | None:
        """The next player of all shards, its gradient set, and the mean loss; None at the end of the step."""
        players: list[str] = []

        def vectors() -> Iterator[Tensor]:  # one at a time: pairs are summed as soon as they are there
            for index, shard in enumerate(updates):
                buffers.use(index)
                if update := self.next_update(shard):
                    players.append(update[0])
                    self.differentiate(*update)
                    yield self.flat(*update)

        if (first := next(waiting := vectors(), None)) is None:
            return None
        mean = self.team.sum(pairwise_sum(itertools.chain([first], waiting))) / self.train.shards
        parameters = self.players[players[0]].parameters
        *pieces, loss, stops = mean.split([p.numel() for p in parameters] + [1, len(STOPPING)])
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.grad = torch.empty_like(parameter).copy_(piece.view(parameter.shape))
        self.stops = stops.clone()  # a part would keep the whole vector, and losses are kept for an interval
        return players[0], loss[0].clone()

    def flat(self, player: str, loss: Tensor) -> Tensor:
        """The gradient of one player, the loss, and 1 for each signal that asks to stop: (P,)."""
        parameters = self.players[player].parameters
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        came = torch.tensor([float(self.stop_request.signal_number == number) for number in STOPPING])
        return torch.cat([*(gradient.flatten() for gradient in gradients),
                          *(each.to(gradients[0]) for each in (loss.detach().reshape(1), came))])

    def signal_to_stop(self) -> int:
        """As Trainer.signal_to_stop; all processes agree, whichever of them got the signal."""
        if self.stops.device.type != "cpu" and self.step % STOP_STEPS:
            return 0
        return next((number for number, count in zip(STOPPING, self.stops.tolist(), strict=True) if count), 0)

    def finish(self) -> None:
        if self.team.leads:
            super().finish()


class _Buffers:
    """A set of the model's buffers for each shard.

    They take the place of the model's own: autograd refuses what was changed in place.
    """

    def __init__(self, model: nn.Module, shards: int) -> None:
        self.places = [(module, name, buffer) for module in model.modules()
                       for name, buffer in module.named_buffers(recurse=False)]
        self.own = [buffer for *_, buffer in self.places]
        self.sets = [[buffer.clone() for buffer in self.own] for _ in range(shards)]

    def use(self, index: int) -> None:
        self._put(self.sets[index])

    def settle(self, team: Team) -> None:
        """Give the model its own buffers back, with the values of shard 0."""
        for own, new in zip(self.own, self.sets[0], strict=True):
            own.copy_(new)
        self._put(self.own)
        team.broadcast(self.own)

    def _put(self, buffers: list[Tensor]) -> None:
        for (module, name, _), buffer in zip(self.places, buffers, strict=True):
            module._buffers[name] = buffer
