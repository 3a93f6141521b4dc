"""A checkpoint is whole, and of this training, or it is not used."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aigc.core.errors import Interrupted
from aigc.core.files import md5
from aigc.core.runtime import Device
from aigc.model.contract import MethodConfig, Player, Shape, Trainable
from aigc.training import checkpoint
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.feed import Feed
from aigc.training.loop import Trainer

IDENTITY = {"params": {"train.seed": 0, "gan.width": 256}, "deps": {"images": "a" * 64}, "code": {"aigc.methods.gan": "b" * 64}}
OTHER_SEED = {**IDENTITY, "params": {"train.seed": 1, "gan.width": 256}}
OTHER_CODE = {**IDENTITY, "code": {"aigc.methods.gan": "c" * 64}}


def save(folder: Path, identity: dict[str, object], *steps: int) -> None:
    for step in steps:
        Checkpoints(folder, identity).save(step, {"x": torch.full((3,), float(step))}, {"step": step})


@pytest.mark.parametrize(("identity", "said"), [
    (OTHER_SEED, "params.train.seed: 1 there, 0 here"), (OTHER_CODE, "code.aigc.methods.gan differs")])
def test_a_planted_checkpoint_of_another_seed_or_code_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                                         identity: dict[str, object], said: str) -> None:
    save(tmp_path / "gan-1", IDENTITY, 8)
    save(tmp_path / "gan-2", identity, 16)
    planted = next((tmp_path / "gan-2").glob("*.safetensors"))
    planted.rename(tmp_path / "gan-1" / planted.name)
    found = Checkpoints(tmp_path / "gan-1", IDENTITY).latest()
    assert found is not None and found[1] == {"step": 8}
    message = capsys.readouterr().err
    assert planted.name in message and said in message


def test_after_a_change_training_starts_afresh_and_says_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "gan-1", OTHER_SEED, 8)
    save(tmp_path / "wgan_gp-1", OTHER_CODE, 8)
    assert Checkpoints(tmp_path / "gan-2", IDENTITY).latest() is None
    assert capsys.readouterr().err == (f"gan: starts afresh; the checkpoints in {tmp_path / 'gan-1'} are of another training "
                                       "(params.train.seed: 1 there, 0 here)\n")


@pytest.mark.parametrize("damage", [
    lambda content: content[:-7], lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:]], ids=["cut", "a flipped bit"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[bytes], bytes]) -> None:
    save(tmp_path, IDENTITY, 8, 16, 24)
    newest = max(tmp_path.glob("*.safetensors"))
    newest.write_bytes(damage(newest.read_bytes()))
    found = Checkpoints(tmp_path, IDENTITY).latest()
    assert found is not None and found[1] == {"step": 16} and found[0]["x"][0] == 16
    assert f"{newest}: torn or corrupted" in capsys.readouterr().err
    assert [path.name[:10] for path in sorted(tmp_path.glob("*.safetensors"))] == ["0000000016"]


def test_what_tells_two_trainings_apart_is_short() -> None:
    many = {"params": {f"p{index}": index for index in range(9)}}
    assert checkpoint.difference(many, {}) == "params.p0: 0 there, None here, params.p1: 1 there, None here, " \
                                              "params.p2: 2 there, None here, params.p3: 3 there, None here, and 5 more"
    assert checkpoint.difference(IDENTITY, IDENTITY) == ""


@pytest.mark.parametrize(("out_is_here", "lock_names_it", "anew"), [
    (True, True, True), (True, False, True), (False, True, True), (False, False, False)])
def test_a_finished_training_is_done_anew_where_its_result_is_in_use_and_else_goes_on(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out_is_here: bool, lock_names_it: bool, anew: bool) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "history.csv"
    out.write_text("step\n1\n")
    save(tmp_path / "gan-1", IDENTITY, 8)
    found = Checkpoints(tmp_path / "gan-1", IDENTITY)
    assert not found.start_anew_if_recorded() and found.latest()  # not finished
    found.finish(out)
    (tmp_path / "dvc.lock").write_text(f"md5: {md5(out) if lock_names_it else '0' * 32}\n")
    if not out_is_here:
        out.unlink()
    assert found.start_anew_if_recorded() is anew
    assert (found.latest() is None) is anew
    assert not anew or not found.start_anew_if_recorded()


class Convolution(Trainable):
    """One player whose weights have two layouts in memory."""

    def __init__(self) -> None:
        super().__init__(Shape(3, 16, 2))
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))

    def players(self) -> dict[str, Player]:
        return {"one": Player(list(self.parameters()), 1e-2)}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        yield "one", (self.layers(real) - torch.randn(len(real), 8, 12, 12, generator=rng)).square().mean()


def test_weights_in_the_layout_of_the_fast_arithmetic_resume_to_the_same_bytes(tmp_path: Path) -> None:
    fast = Device(torch.device("cpu"), channels_last=True, low_precision=None)
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 16, 16), dtype=np.uint8)
    chosen = MethodConfig(images=64, batch_size=8, ema_halflife=20.0, warmup=0.0, decay=0.5)

    def trainer(folder: str) -> Trainer:
        return Trainer("one", Convolution, Feed(images, np.zeros(20, np.int64), 0, fast), chosen,
                       TrainConfig(seed=0, intervals=8, checkpoints=4), fast, Checkpoints(tmp_path / folder))

    straight, first, second = trainer("straight"), trainer("stopped"), trainer("stopped")
    straight.fit()
    for _ in range(3):
        first.advance()
    with pytest.raises(Interrupted):
        first.stop(15)
    second.fit()
    assert second.model.state_dict()["layers.2.weight"].is_contiguous(memory_format=torch.channels_last)
    for run in (second.model, second.average.model):
        other = straight.model if run is second.model else straight.average.model
        for (name, mine), theirs in zip(run.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(mine, theirs), name
