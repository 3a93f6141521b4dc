"""The seconds of stages, which order the chains of `aigc repro`."""

import json
from pathlib import Path

import pytest

from aigc.reproduction import origin
from aigc.workspace import durations
from aigc.workspace.paths import LOCK, LOCK_ORIGIN


def test_a_clone_knows_the_seconds_of_the_machine_that_made_its_lock(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    LOCK.write_text("schema: '2.0'\n")
    durations.write({"train@flow": 130.5, "report": 4.0})
    origin.record()
    recorded = LOCK_ORIGIN.read_bytes()
    clone = tmp_path / "clone"
    clone.mkdir()
    monkeypatch.chdir(clone)
    assert durations.read() == {}
    LOCK_ORIGIN.write_bytes(recorded)
    assert durations.read() == {"train@flow": 130.5, "report": 4.0}
    durations.write({"report": 9.0})
    assert durations.read() == {"train@flow": 130.5, "report": 9.0}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"seconds": [3]}', b'{"seconds": {"a": "long"}}', b"\xff"])
def test_what_cannot_be_read_counts_as_not_known(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    LOCK_ORIGIN.write_bytes(content)
    durations.SECONDS.parent.mkdir(parents=True)
    durations.SECONDS.write_bytes(content)
    assert durations.read() == {}


def test_the_record_names_them_beside_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    LOCK.write_text("schema: '2.0'\n")
    durations.write({"check": 2.0})
    origin.record()
    assert set(json.loads(LOCK_ORIGIN.read_text())) == {"lock_sha256", "machine", "seconds"}
    assert origin.machine_of(Path())
