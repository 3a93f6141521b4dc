"""A checkpoint is whole, and of this training, or it is not used."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from aigc.training import checkpoint
from aigc.training.checkpoint import Checkpoints

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
