"""Several processes share the blocks of a stage: the same results in order, and no process is left."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from aigc.core import sharing
from aigc.core.errors import ConfigError
from projects import ROOT, environment_of

HEAD = """
import os, signal, sys, time
from aigc.core import process, runtime, sharing
from aigc.core.errors import DataError

def who(number):
    return number * number, os.getpid()

def where(number):
    import torch
    return os.getpid(), os.environ["MKL_CBWR"], torch.get_num_threads(), torch.get_deterministic_debug_mode()

def late(number):
    time.sleep(0.2 * (number % 2 == 0))
    return bytes(300_000) + bytes([number])

def bad(number):
    if number == 4:
        raise DataError("picture 4: torn; draw it again")
    return number

def killed(number):
    if number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return number

def wrong(number):
    return 1 // (4 - number)

def main():
    runtime.cap_environment("portable", 1)
    with sharing.processes(3, "portable", 1):
        body()

"""
TAIL = """
if __name__ == "__main__":
    sys.exit(process.guarded(main))
"""


def script(folder: Path, body: str) -> list[str]:
    """A program of three processes. body: of the function that the first runs."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    (folder / "program.py").write_text(f"{HEAD}\ndef body():\n{lines}{TAIL}")
    return [sys.executable, str(folder / "program.py")]


def run(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(script(folder, body), cwd=ROOT, env=environment_of(PYTHONPATH="src"), text=True,
                          capture_output=True, check=False)


def test_results_come_in_the_order_of_the_tasks_and_each_process_computes_every_third(tmp_path: Path) -> None:
    done = run(tmp_path, """
found = list(sharing.in_order(who, iter(range(8))))
assert [square for square, _ in found] == [number * number for number in range(8)]
pids = [pid for _, pid in found]
assert pids[0] == os.getpid() and len(set(pids[:3])) == 3 and pids[3:6] == pids[:3] == [*pids[6:], pids[2]]
assert list(sharing.in_order(who, [])) == []
assert [number for number, _ in sharing.in_order(who, [1])] == [1]
assert [found[-1] for found in sharing.in_order(late, range(9))] == list(range(9))  # more than a pipe holds
others = {pid: state for pid, *state in sharing.in_order(where, range(3)) if pid != os.getpid()}
assert list(others.values()) == [["COMPATIBLE", 1, 2]] * 2, others
print("well")
""")
    assert (done.stdout, done.stderr, done.returncode) == ("well\n", "", 0)


def test_one_process_is_the_default_and_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sharing.DEVICES, raising=False)
    before = psutil.Process().children()  # another test's browser, for one
    with sharing.processes(sharing.processes_here(), "portable", 1):
        assert list(sharing.in_order(lambda number: (number, os.getpid()), itertools.repeat(7, 3))) == (
            [(7, os.getpid())] * 3)
        assert psutil.Process().children() == before
    monkeypatch.setenv(sharing.DEVICES, "-1")
    with pytest.raises(ConfigError, match="^AIGC_DEVICES=-1: must be a number of processes"):
        sharing.processes_here()


@pytest.mark.parametrize(("body", "said"), [
    ("list(sharing.in_order(bad, range(9)))", "error: picture 4: torn; draw it again"),
    ("list(sharing.in_order(killed, range(9)))",
     "error: process 1 of this stage was ended by SIGKILL; run again"),
    ("list(sharing.in_order(wrong, range(9)))",
     "error: process 1 of this stage failed with exit code 1; see above")], ids=["error", "killed", "fault"])
def test_what_ends_another_process_is_the_one_line_of_the_stage(
        tmp_path: Path, body: str, said: str) -> None:
    done = run(tmp_path, body)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1 and errors == [said]
    assert ("ZeroDivisionError" in done.stderr) == ("wrong" in body)


@pytest.mark.parametrize("victim", ["other", "stage killed", "stage stopped", "Ctrl-C"])
def test_none_outlives_the_end_of_any_while_the_first_computes_alone(tmp_path: Path, victim: str) -> None:
    """The first process is in the middle of work of its own, and waits for nobody."""
    started = subprocess.Popen(script(tmp_path, "print('on', flush=True)\nwhile True: sum(range(1000))"),
                               cwd=ROOT, env=environment_of(PYTHONPATH="src"), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert started.stdout and started.stdout.readline() == "on\n"
    family = psutil.Process(started.pid).children()
    others = [one for one in family if "resource_tracker" not in " ".join(one.cmdline())]
    assert len(others) == 2
    time.sleep(0.5)
    ends: dict[str, Callable[[], None]] = {
        "other": others[1].kill, "stage killed": started.kill, "stage stopped": started.terminate,
        "Ctrl-C": lambda: os.killpg(started.pid, signal.SIGINT)}
    ends[victim]()
    _, said = started.communicate(timeout=20)
    assert not psutil.wait_procs(family, timeout=20)[1]
    expected = {"other": (1, "error: process 2 of this stage was ended by SIGKILL; run again\n"),
                "stage killed": (-signal.SIGKILL, ""), "stage stopped": (-signal.SIGTERM, ""),
                "Ctrl-C": (128 + signal.SIGINT, "error: interrupted\n")}
    assert (started.returncode, said) == expected[victim]
