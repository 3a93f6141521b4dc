"""A training that cannot fit into memory is refused before it starts, in one line with the remedy."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch import Tensor, nn

from aigc import methods
from aigc.core import config, runtime
from aigc.core.errors import ConfigError
from aigc.core.runtime import Device
from aigc.model.contract import MethodConfig, Player, Shape, Trainable
from aigc.training import memory
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.feed import Feed
from aigc.training.loop import Trainer

ROOT = Path(__file__).resolve().parents[2]
CONFIG = MethodConfig(images=16, batch_size=1000, ema_halflife=1.0, warmup=0.0, decay=0.0)
WEIGHTS, KEPT = 256 * 100, 256 + 100  # floats: of Square, and per image of its backward pass


@dataclass(frozen=True)
class Small(Device):
    """A device with little free memory."""

    free: int = 0

    def free_memory(self) -> int:
        return self.free


class Square(Trainable):
    """Keeps x for the gradient of W, and x W^T for the gradient of the square."""

    def __init__(self) -> None:
        super().__init__(Shape(1, 16, 0))
        self.layer = nn.Linear(256, 100, bias=False)
        self.calls = 0

    def players(self) -> dict[str, Player]:
        return {"one": Player(list(self.parameters()), 0.1)}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        self.calls += 1
        yield "one", self.layer(real.flatten(1)).square().sum()


def test_parameters_and_activations_are_counted_to_the_byte() -> None:
    model = Square()
    assert memory.weights_bytes(model) == 5 * 4 * WEIGHTS
    assert memory.activation_bytes(model) == 4 * KEPT
    assert model.calls == 0  # a copy was asked


@pytest.mark.parametrize(("missing", "refused"), [(1, True), (0, False)])
def test_a_batch_must_fit_beside_gradients_average_and_moments(missing: int, refused: bool) -> None:
    device = Small(torch.device("cpu"), False, None, free=4 * 4 * WEIGHTS + 1000 * 4 * KEPT - missing)
    if refused:
        with pytest.raises(ConfigError, match="square: pictures of 16 x 16 pixels at batch_size 1000 need"):
            memory.check_batch("square", Square(), CONFIG, device)
    else:
        memory.check_batch("square", Square(), CONFIG, device)


def test_of_a_batch_in_shards_one_shard_must_fit() -> None:
    device = Small(torch.device("cpu"), False, None, free=4 * 4 * WEIGHTS + 250 * 4 * KEPT)
    memory.check_batch("square", Square(), CONFIG, device, shards=4)
    with pytest.raises(ConfigError):
        memory.check_batch("square", Square(), CONFIG, device, shards=2)


def test_a_gan_of_512_pixels_is_refused_before_its_weights_are_allocated(device: Device) -> None:
    settings = methods.load_config("gan", config.read(ROOT / "params.yaml"))
    shape = Shape(3, 512, 0)
    small = Small(device.torch_device, False, None, free=4 * 2**30)
    feed = Feed(np.zeros((2, *shape.image), np.uint8), np.full(2, -1), 0, device)
    before = psutil.Process().memory_info().rss
    with pytest.raises(ConfigError) as caught:
        Trainer("gan", lambda: methods.build("gan", settings, shape), feed, settings,
                TrainConfig(seed=0, intervals=1, checkpoints=1), small)
    assert psutil.Process().memory_info().rss - before < 2**29
    message = str(caught.value)
    assert "\n" not in message
    # 805,306,368 weights at 512 units on either side of the pixels, and some thousand more
    assert message.startswith(
        "gan: pictures of 512 x 512 pixels at batch_size 32 and width 256 need at least 15.0 GiB of memory, "
        "cpu has 4.0 free; lower `batch_size` or `width` under `gan`")


def test_a_training_that_resumes_is_not_probed_a_second_time(tmp_path: Path) -> None:
    small = Small(torch.device("cpu"), False, None, free=5 * 4 * WEIGHTS)  # too little for a batch
    feed = Feed(np.zeros((2, 1, 16, 16), np.uint8), np.full(2, -1), 0, small)
    train, checkpoints = TrainConfig(seed=0, intervals=1, checkpoints=1), Checkpoints(tmp_path)

    def trainer() -> Trainer:
        return Trainer("square", Square, feed, CONFIG, train, small, checkpoints)

    with pytest.raises(ConfigError, match="square: pictures of 16 x 16 pixels"):
        trainer()
    checkpoints.save(1, {}, {})
    trainer()


def test_the_free_memory_of_the_cpu_is_no_more_than_the_machine_has(device: Device) -> None:
    assert 0 < device.free_memory() <= psutil.virtual_memory().total


@pytest.mark.parametrize(("limit", "left"), [("1000\n", 400), ("max\n", None)])
def test_a_container_leaves_its_limit_minus_what_cannot_be_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, left: int | None
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.stat").write_text("anon 600\nfile 300\n")
    monkeypatch.setattr(runtime, "CGROUP", tmp_path)
    found = runtime._free_in_container()
    assert found == left if left is not None else found > 2**50
