"""A training tells how far it is where somebody watches, and never fails for it."""

import os
import sys

import pytest

from aigc.training import progress
from aigc.training.progress import Step


def test_lines_are_read_as_they_were_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(progress.VARIABLE, "1")
    monkeypatch.setattr(progress, "INTERVAL_SECONDS", 0.0)
    with progress.bar("GAN-train of gan", 3, 5, 32) as bar:
        for _ in range(2):
            bar.update()
    said = capsys.readouterr().err.splitlines()
    expected = [Step("GAN-train of gan", step, 5, 32) for step in (4, 5)]
    assert [progress.parse(line) for line in said] == expected


def test_without_a_reader_and_a_terminal_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    with progress.bar("gan", 0, 2, 32) as bar:
        bar.update()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "line", ["", "gan: resumed at step 3 of 5", f"{progress.MARK}3 of", f"{progress.MARK}a 5 1 x"])
def test_other_text_is_no_progress(line: str) -> None:
    assert progress.parse(line) is None


def test_a_reader_that_is_gone_stops_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress.VARIABLE, "1")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", buffering=1) as broken:
        monkeypatch.setattr(sys, "stderr", broken)
        with progress.bar("gan", 0, 2, 32) as bar:
            bar.update()
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)  # what could not be written is written at the end
