"""Errors are lines, exit codes mean something, and two writers never meet."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from aigc.core import process
from aigc.core.errors import Interrupted, StorageError


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (StorageError("x: torn"), 1, "error: x: torn\n"),
        (Interrupted("stopped", 15), 143, "error: stopped\n"),
        (
            PermissionError(13, "Permission denied", "reports"),
            1,
            "error: reports: Permission denied; give permission and run again\n",
        ),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total of 8 GiB"),
            1,
            "error: out of memory (CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of 8 "
            "GiB); smaller batches or a machine with more memory are the remedy\n",
        ),
    ],
)
def test_an_expected_error_is_one_line_and_a_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
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
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, env={"PYTHONPATH": "src"}
    )
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    with (
        pytest.raises(StorageError, match=f"held by process {holder.pid}"),
        process.only_writer(lock, patience=0.3),
    ):
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
    dvc = subprocess.Popen(
        [sys.executable, "-c", STARTER, LATE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": "src", **environment},
        start_new_session=True,
    )
    assert dvc.stdout and dvc.stdout.readline() == "started\n"
    dvc.kill()
    dvc.wait()
    assert dvc.stdout.read() == told


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(child.pid, flush=True)
child.wait()
"""
CHILD = """
from aigc.core import process
import time
process.die_with_parent()
print("ready", flush=True)
time.sleep(60)
"""


def test_a_stage_dies_with_its_parent() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": "src"}
    )
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert parent.stdout.readline() == "ready\n"
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        (
            "Running stage 'a':\nERROR: failed to reproduce 'a': no such command\n\n"
            "Having any troubles? Hit us up at https://dvc.org",
            "ERROR: failed to reproduce 'a': no such command",
        ),
        (
            "'./dvc.yaml' is invalid.\n\nWhile parsing a mapping, in line 1, column 1\n"
            "  1 stages: {\n  2 │ x\n",
            "'./dvc.yaml' is invalid. While parsing a mapping, in line 1, column 1",
        ),
        (
            "hint: Updates were rejected\nerror: failed to push\nhint: See git push --help\n",
            "error: failed to push",
        ),
        (
            "Traceback (most recent call last):\n  File x\n"
            "mlflow.exceptions.MlflowException: no such table\n",
            "mlflow.exceptions.MlflowException: no such table",
        ),
        ("", "no message"),
    ],
)
def test_the_reason_of_a_failed_program_is_its_error_and_no_advice(stderr: str, said: str) -> None:
    assert process.reason(stderr) == process.reason(stderr.encode()) == said


PRINTS = (
    "from aigc.core import process; process.start(); import sys; "
    "print('a \\u2013 b'); print('c \\u2013 d', file=sys.stderr)"
)
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    "environment", [ASCII, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "iso-8859-1"}], ids=str
)
def test_text_that_the_locale_cannot_encode_is_printed_as_an_escape(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINTS],
        env={"PYTHONPATH": "src", **environment},
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (rb"a \u2013 b" + b"\n", rb"c \u2013 d" + b"\n")


def test_a_file_never_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    code = (
        "from aigc.core import process; process.start(); import subprocess, sys; "
        "stream = open(sys.argv[1], 'w'); "
        "print('noise'); subprocess.run(['echo', 'noise']); stream.write('kept'); stream.close()"
    )
    for closed in (">&-", "<&- >&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f'"$0" -c "$1" "$2" {closed}', sys.executable, code, tmp_path / "file"],
            env={"PYTHONPATH": "src", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0 and done.stderr == b"" and (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root becomes a user without a passwd entry"
)
def test_libraries_that_want_a_home_and_a_user_name_have_them_where_the_system_names_none() -> None:
    code = (
        "from aigc.core import process; process.start(); "
        "import getpass, mlflow, great_expectations, dvc.repo; "
        "import matplotlib.pyplot; print(getpass.getuser())"
    )
    # The capability lets this user read the interpreter, wherever it is installed.
    user = [
        "setpriv",
        "--reuid",
        "12345",
        "--regid",
        "12345",
        "--clear-groups",
        "--inh-caps",
        "+dac_override",
        "--ambient-caps",
        "+dac_override",
    ]
    done = subprocess.run(
        [*user, sys.executable, "-c", code],
        env={"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "uid12345\n", done.stderr


def test_a_command_that_is_ended_by_sigterm_cleans_up_once_and_says_so(tmp_path: Path) -> None:
    code = """
import sys, tempfile, time
from aigc.core import process
def work():
    with tempfile.TemporaryDirectory(dir=sys.argv[1]):
        print("started", flush=True)
        try:
            time.sleep(60)
        finally:
            time.sleep(1)
with process.terminating():
    sys.exit(process.guarded(work))
"""
    for number in (signal.SIGTERM, signal.SIGHUP):
        running = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            env={"PYTHONPATH": "src"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert running.stdout and running.stdout.readline() == "started\n"
        running.send_signal(number)
        time.sleep(0.3)
        running.send_signal(number)  # as `timeout` and a closed terminal do
        _, said = running.communicate(timeout=30)
        assert (running.returncode, said) == (128 + number, f"error: ended by {number.name}\n")
        assert not list(tmp_path.iterdir())


def test_a_call_that_is_interrupted_ends_its_child_and_what_that_has_started(tmp_path: Path) -> None:
    code = (
        "from aigc.core import process; import sys\n"
        "with process.terminating(): sys.exit(process.guarded(lambda: process.call(sys.argv[1:]).returncode))"
    )
    stubborn = 'trap "" INT TERM; sleep 61 & echo $! ; wait; sleep 61'
    running = subprocess.Popen(
        [sys.executable, "-c", code, "sh", "-c", stubborn],
        env={"PYTHONPATH": "src", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdout
    grandchild = psutil.Process(int(running.stdout.readline()))
    running.terminate()
    running.wait(timeout=60)
    assert running.returncode == 143 and not psutil.wait_procs([grandchild], timeout=5)[1]
