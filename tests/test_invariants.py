"""Each invariant has a check that fails when it is broken. Here each is broken on purpose."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from aigc.core import config, files, process, randomness
from aigc.core.errors import ConfigError, Interrupted
from aigc.core.randomness import Purpose
from aigc.core.runtime import Device
from aigc.model.contract import MethodConfig, Player, Shape, Trainable
from aigc.model.sampling import GenerateConfig
from aigc.training import checkpoint, loop
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.feed import Feed

CHOSEN = MethodConfig(images=48, batch_size=8, ema_halflife=20.0, warmup=0.0, decay=0.5)
TRAIN = TrainConfig(seed=0, intervals=6, checkpoints=3)


class Small(Trainable):
    """One linear player with noise."""

    def __init__(self) -> None:
        super().__init__(Shape(1, 4, 2))
        self.layer = nn.Linear(16, 4)

    def players(self) -> dict[str, Player]:
        return {"one": Player(list(self.layer.parameters()), 1e-2)}

    def updates(self, real: torch.Tensor, labels: torch.Tensor, rng: torch.Generator) -> object:
        noise = torch.randn(len(real), 16, generator=rng)
        yield "one", self.layer(real.flatten(1) + noise).square().mean()


def weights(folder: Path, device: Device, stop_at: int = 0) -> torch.Tensor:
    """The weights of a whole run, stopped after `stop_at` steps and gone on with (0: never)."""
    import numpy as np

    images = np.random.default_rng(0).integers(0, 256, (20, 1, 4, 4), dtype=np.uint8)

    def trainer() -> loop.Trainer:
        return loop.Trainer(
            "small",
            Small,
            Feed(images, np.zeros(20, np.int64), 0, device),
            CHOSEN,
            TRAIN,
            device,
            Checkpoints(folder),
        )

    if stop_at:
        first = trainer()
        for _ in range(stop_at):
            first.train_step()
        with pytest.raises(Interrupted):
            first.stop(15)
    run = trainer()
    run.fit()
    return run.model.layer.weight.detach()


def resumes_to_the_same_bytes(folder: Path, device: Device) -> bool:
    return torch.equal(weights(folder / "straight", device), weights(folder / "stopped", device, stop_at=3))


def test_a_stopped_run_ends_in_the_same_bytes(tmp_path: Path, device: Device) -> None:
    assert resumes_to_the_same_bytes(tmp_path, device)


def test_2_randomness_with_a_history_is_noticed(
    tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams: dict[str, torch.Generator] = {}

    def stateful(seed: int, purpose: Purpose, step: int = 0, device: torch.device | str = "cpu",
                 of: str = "") -> torch.Generator:
        name = purpose.format(of)
        if step == 0 or name not in streams:
            streams[name] = torch.Generator(device).manual_seed(randomness.stream_seed(seed, purpose, of=of))
        return streams[name]

    straight = weights(tmp_path / "straight", device)
    monkeypatch.setattr(loop.randomness, "generator", stateful)
    streams.clear()
    assert not torch.equal(straight, weights(tmp_path / "stopped", device, stop_at=3))


def test_3_a_checkpoint_that_forgets_a_piece_of_state_is_noticed(
    tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = checkpoint.unpack
    monkeypatch.setattr(
        loop.checkpoint, "unpack", lambda tensors, modules, optimizers: whole(tensors, modules, {})
    )
    assert not resumes_to_the_same_bytes(tmp_path, device)


CHILD = "from aigc.core import process; import time; {dies}; print('ready', flush=True); time.sleep(20)"
PARENT = ("import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', sys.argv[1]]); "
          "print(child.pid, flush=True); child.wait()")


def outlives(child_code: str) -> bool:
    """Whether a child lives on when its parent is killed."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, child_code],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": "src"},
    )
    assert parent.stdout
    child = Path("/proc") / parent.stdout.readline().strip()
    assert parent.stdout.readline() == "ready\n"
    parent.kill()
    parent.wait()
    for _ in range(40):
        state = (child / "stat").read_text().rpartition(")")[2].split()[0] if child.exists() else "gone"
        if state in ("gone", "Z", "X"):
            return False
        time.sleep(0.05)
    subprocess.run(["kill", "-9", child.name], check=False)
    return True


def test_3_a_stage_that_does_not_die_with_its_parent_is_noticed() -> None:
    assert not outlives(CHILD.format(dies="process.die_with_parent()"))
    assert outlives(CHILD.format(dies="pass"))


def test_4_a_torn_checkpoint_is_used_only_where_the_check_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        Checkpoints(tmp_path).save(step, {"x": torch.full((64,), float(step))}, step)
    newest = max(tmp_path.glob("*.safetensors"))
    content = bytearray(newest.read_bytes())
    content[-4:] = b"torn"
    newest.write_bytes(content)
    real = files.sha256
    with monkeypatch.context() as sabotage:
        sabotage.setattr(files, "sha256", lambda path: path.stem.partition("-")[2])
        found = Checkpoints(tmp_path).latest()
        assert found is not None and found[1] == 2 and not bool((found[0]["x"] == 2).all())
    assert files.sha256 is real
    found = Checkpoints(tmp_path).latest()
    assert found is not None and found[1] == 1


def killed_while_writing(folder: Path, write: str) -> bytes:
    code = ("from aigc.core import files; from pathlib import Path; import os, signal; "
            f"path = Path({str(folder / 'out')!r})\n{write}")
    (folder / "out").write_bytes(b"before")
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "src"}, check=False)
    return (folder / "out").read_bytes()


def test_4_a_file_written_in_its_place_is_torn_by_a_kill_and_ours_is_not(tmp_path: Path) -> None:
    kill = "stream.write(b'half'); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    ours = f"with files.replacing(path) as temporary, temporary.open('wb') as stream: {kill}"
    broken = f"with path.open('wb') as stream: {kill}"
    assert killed_while_writing(tmp_path, ours) == b"before"
    assert killed_while_writing(tmp_path, broken) == b"half"


MAKERS: dict[str, Callable[[Path], None]] = {
    "pure": lambda path: files.write_json(path, {"n": 1}),
    "a clock": lambda path: files.write_json(path, {"n": 1, "made": time.time_ns()}),
    "its own folder": lambda path: files.write_json(path, {"n": 1, "folder": str(path.parent)}),
}


@pytest.mark.parametrize("name", MAKERS)
def test_1_an_out_that_is_no_pure_function_differs_when_it_is_made_again_elsewhere(
    tmp_path: Path, name: str
) -> None:
    hashes = []
    for folder in ("one", "two"):
        MAKERS[name](tmp_path / folder / "out.json")
        hashes.append(files.sha256(tmp_path / folder / "out.json"))
    assert (len(set(hashes)) == 1) is (name == "pure")


def test_8_a_section_that_lets_an_unknown_key_pass_is_noticed() -> None:
    class Lax(GenerateConfig, extra="ignore"):
        pass

    misspelt = {"generate": {"seed": 0, "count": 1, "temperature": 1.0, "cuont": 2}}
    with pytest.raises(ConfigError, match=r"unknown key `generate\.cuont`; did you mean `count`"):
        config.section("generate", GenerateConfig, misspelt)
    config.section("generate", Lax, misspelt)


def test_3_a_second_writer_gets_in_only_where_the_lock_is_gone(tmp_path: Path) -> None:
    with process.only_writer(tmp_path / "lock"):
        with (
            pytest.raises(Exception, match="held by process"),
            process.only_writer(tmp_path / "lock", patience=0.1),
        ):
            pass
        (tmp_path / "lock").unlink()
        with process.only_writer(tmp_path / "lock", patience=0.1):
            pass
