"""Errors are lines, exit codes mean something, and two writers never meet."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from aigc.core import process
from aigc.core.errors import Interrupted, StorageError


@pytest.mark.parametrize(("error", "code", "line"), [
    (StorageError("x: torn"), 1, "error: x: torn\n"),
    (Interrupted("stopped", 15), 143, "error: stopped\n"),
    (PermissionError(13, "Permission denied", "reports"), 1, "error: reports: Permission denied; give permission and run again\n"),
    (KeyboardInterrupt(), 130, "error: interrupted\n"),
])
def test_an_expected_error_is_one_line_and_a_code(capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str) -> None:
    def work() -> None:
        raise error

    assert process.guarded(work) == code
    assert capsys.readouterr().err == line


def test_a_bug_is_not_hidden() -> None:
    def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        process.guarded(work)


HOLDER = "from aigc.core import process; from pathlib import Path; import sys, time\n" \
         "with process.only_writer(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def test_a_second_writer_is_told_who_holds_the_lock_and_gets_it_after_a_kill(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, env={"PYTHONPATH": "src"})
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    with pytest.raises(StorageError, match=f"held by process {holder.pid}"), process.only_writer(lock, patience=0.3):
        pass
    holder.kill()
    holder.wait()
    with process.only_writer(lock, patience=5):
        pass


LATE = """
import os, sys, time
first = os.getppid()
print("started", flush=True)
while os.getppid() == first:
    time.sleep(0.01)
from aigc.core import process
process.die_with_parent()
print("goes on", flush=True)
"""
STARTER = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); sys.stdin.read()"


@pytest.mark.parametrize(("environment", "told"), [({"DVC_STAGE": "train@gan"}, ""), ({}, "goes on\n")])
def test_a_stage_whose_dvc_was_killed_while_it_still_started_ends_and_what_a_person_started_goes_on(
        environment: dict[str, str], told: str) -> None:
    dvc = subprocess.Popen([sys.executable, "-c", STARTER, LATE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                           env={"PYTHONPATH": "src", **environment}, start_new_session=True)
    assert dvc.stdout and dvc.stdout.readline() == "started\n"
    dvc.kill()
    dvc.wait()
    assert dvc.stdout.read() == told


PARENT = "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', sys.argv[1]]); print(child.pid, flush=True); child.wait()"
CHILD = "from aigc.core import process; import time; process.die_with_parent(); print('ready', flush=True); time.sleep(60)"


def test_a_stage_dies_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": "src"})
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert parent.stdout.readline() == "ready\n"
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.05)
