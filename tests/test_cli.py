"""The command line teaches, does so at once, and ends cleanly."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from aigc import cli
from projects import ROOT, environment_of, run_in
from small import random_pictures, small_model, write_pictures
from stores import CODE

HEAVY = {
    "numpy",
    "torch",
    "mlflow",
    "pandas",
    "pydantic",
    "dvc",
    "yaml",
    "ruamel",
    "PIL",
    "scipy",
    "matplotlib",
    "shtab",
}
AIGC = (sys.executable, "-m", "aigc")
COMMANDS = sorted(next(action.choices for action in cli.parser()._actions
                       if isinstance(action, argparse._SubParsersAction)))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project with a model that nobody trained."""
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    small_model(tmp_path / "models", "gan")
    return tmp_path


def test_help_imports_nothing_heavy() -> None:
    done = run_in(ROOT, sys.executable, "-X", "importtime", "-m", "aigc", "--help", **CODE)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "aigc" in imported and "argparse" in imported
    assert not imported & HEAVY


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out) > 200


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["verfy"], "verify"),
        (["data", "chek", "x"], "check"),
        (["evaluate", "--real", "a", "--fake", "b", "--extractor", "inceptoin"], "inception"),
    ],
)
def test_a_mistyped_word_exits_with_2_and_names_the_nearest(
    words: list[str], near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"aigc{' ' if words[0] != 'verfy' else ''}") and said.endswith(
        f"is unknown; did you mean `{near}`?"
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_each_shell_gets_a_completion_of_all_commands(shell: str) -> None:
    script = run_in(ROOT, *AIGC, "--print-completion", shell, **CODE).stdout
    assert [name for name in COMMANDS if name not in script] == []


def test_bash_completes_a_command_and_its_options_by_that_script() -> None:
    script = run_in(ROOT, *AIGC, "--print-completion", "bash", **CODE).stdout
    for typed, expected in (
        (["aigc", "pro"], "promote"),
        (["aigc", "verify", "--tolerance-e"], "--tolerance-elsewhere"),
    ):
        words = " ".join(f"'{word}'" for word in typed)
        code = (
            f"{script}\nCOMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; "
            f"_shtab_aigc aigc '{typed[-1]}' '{typed[-2]}'; "
            'echo "${COMPREPLY[@]}"'
        )
        assert run_in(ROOT, "bash", "-c", code).stdout.split() == [expected]


@pytest.mark.parametrize("command", [["--help"], ["params"], ["generate", "--help"]], ids=" ".join)
@pytest.mark.parametrize("environment", [
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "ascii"}], ids=str)
def test_a_command_prints_in_any_locale(command: list[str], environment: dict[str, str]) -> None:
    done = run_in(ROOT, *AIGC, *command, **CODE, **environment)
    assert done.stdout.isascii() and not done.stderr


@pytest.mark.parametrize("closing", [">&-", "<&- >&- 2>&-", "| head -n 1", "2>&1 | true", "> /dev/full"])
def test_no_traceback_where_a_stream_is_closed_full_or_read_no_further(home: Path, closing: str) -> None:
    # A line for each of many files: more than a buffer holds, from a command that starts at once.
    program = f'set -o pipefail; "$0" -m aigc deps $(yes params.yaml | head -n 500) {closing}'
    done = run_in(home, "bash", "-c", program, sys.executable, check=False, **CODE)
    full = "error: No space left on device; make room and run again\n"
    assert done.stderr == (full if closing == "> /dev/full" else "")
    assert done.returncode in ((1,) if closing == "> /dev/full" else (0, 128 + signal.SIGPIPE))


def test_pictures_are_whole_where_the_streams_are_closed(home: Path) -> None:
    for folder, closing in (("open", ""), ("closed", "<&- >&- 2>&-")):
        run_in(
            home,
            "sh",
            "-c",
            f'"$0" -m aigc generate gan --n 2 --out {folder} {closing}',
            sys.executable,
            **CODE,
        )
    found = [
        {path.name: path.read_bytes() for path in (home / folder).iterdir()} for folder in ("open", "closed")
    ]
    assert len(found[0]) == 3 and found[0] == found[1]


@pytest.mark.parametrize("command", ["data check", "generate"])
def test_sigterm_ends_a_command_with_its_workers_and_leaves_nothing_half_written(
    home: Path, command: str
) -> None:
    pictures = write_pictures(home / "pictures", random_pictures(4000))
    (home / "tmp").mkdir()
    words = {
        "data check": ["data", "check", pictures],
        "generate": ["generate", "gan", "--n", 20_000, "--out", home / "out"],
    }[command]
    watched = {"data check": home / "tmp", "generate": home / "out"}[command]
    process = subprocess.Popen([*AIGC, *map(str, words)], cwd=home, stderr=subprocess.PIPE, text=True,
                               env=environment_of(TMPDIR=str(home / "tmp"), **CODE))
    while not (watched.exists() and len(list(watched.rglob("*"))) > 2):
        assert process.poll() is None
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143 and said.splitlines()[-1] == "error: ended by SIGTERM"
    assert not psutil.wait_procs(children, timeout=10)[1], "a worker outlived the command"
    assert os.listdir(home / "tmp") == [] and not list(home.rglob("*.tmp"))  # noqa: PTH208
