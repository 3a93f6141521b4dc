"""How many jobs run, and where."""

from pathlib import Path

import pytest

from aigc.core import process
from aigc.core.errors import ConfigError
from aigc.core.sharing import DEVICES
from aigc.orchestration import slots


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(slots.VISIBLE, raising=False)
    (tmp_path / "params.yaml").write_text("runtime: {arithmetic: portable, threads: 2}\n")
    return tmp_path


def test_on_the_cpu_the_cores_are_shared_by_the_threads_of_a_stage(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cores, jobs in ((1, 1), (2, 1), (8, 4), (9, 4)):
        monkeypatch.setattr(process, "cores", lambda cores=cores: cores)
        assert slots.choose(None) == [None] * jobs
    assert slots.choose(7) == [None] * 7


def test_a_containers_quota_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots.os, "sched_getaffinity", lambda _: range(16))
    monkeypatch.setattr(process, "CPU_QUOTA", tmp_path / "cpu.max")
    for text, cores in (("max 100000\n", 16), ("350000 100000\n", 3), ("50000 100000\n", 1)):
        (tmp_path / "cpu.max").write_text(text)
        assert process.cores() == cores
    (tmp_path / "cpu.max").unlink()
    assert process.cores() == 16


@pytest.mark.parametrize(("visible", "names"), [
    ("0,1,3", ["0", "1", "3"]), ("GPU-a, GPU-b", ["GPU-a", "GPU-b"]), ("0,0", ["0", "0"]),
    ("", []), ("-1", []), ("1,-1,2", ["1"])])
def test_on_gpus_each_device_gets_one_job(
    project: Path, monkeypatch: pytest.MonkeyPatch, visible: str, names: list[str]
) -> None:
    (project / "params.yaml").write_text("runtime: {arithmetic: fast, threads: 2}\n")
    monkeypatch.setattr(process, "cores", lambda: 4)
    monkeypatch.setenv(slots.VISIBLE, visible)
    assert slots.choose(None) == (names or [None, None])
    assert slots.choose(1) == (names[:1] or [None])


def test_more_jobs_than_devices_are_refused_with_the_devices(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "params.yaml").write_text("runtime: {arithmetic: fast, threads: 2}\n")
    monkeypatch.setenv(slots.VISIBLE, "2,5")
    with pytest.raises(ConfigError, match=r"^-j 3: one job a device, and there are 2 \(2, 5\); to share"):
        slots.choose(3)


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_jobs_are_refused(jobs: int) -> None:
    with pytest.raises(ConfigError, match=f"^-j {jobs}: at least 1$"):
        slots.choose(jobs)


def test_a_training_in_several_processes_takes_as_many_slots(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "cores", lambda: 4)
    monkeypatch.setenv(DEVICES, "1")  # is put back afterwards
    with (project / "params.yaml").open("a") as params:
        params.write("train: {seed: 0, intervals: 10, checkpoints: 5, shards: 4}\n")
    assert slots.devices_of_training(None) == 1
    assert slots.devices_of_training(4) == 4
    assert slots.devices_of_training(None) == 4  # it is in the environment, for the stages
    assert slots.choose(None, 2) == [None] * 2 and slots.choose(None, 4) == [None] * 4
    with pytest.raises(ConfigError, match="^-j 2: a training of 4 processes"):
        slots.choose(2, 4)
    with pytest.raises(ConfigError, match=r"^3 processes must divide `train.shards` in params.yaml \(4\)"):
        slots.devices_of_training(3)


def test_more_processes_than_gpus_are_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "params.yaml").write_text("runtime: {arithmetic: fast, threads: 2}\n")
    monkeypatch.setenv(slots.VISIBLE, "2,5")
    assert slots.choose(None, 2) == ["2", "5"]
    with pytest.raises(ConfigError, match=r"^--devices 4: .* and there are 2 \(2, 5\)$"):
        slots.choose(None, 4)
