"""The command line teaches, and does so at once."""

import argparse
import subprocess
import sys

import pytest

from aigc import cli

HEAVY = ("numpy", "torch", "mlflow", "pandas", "pydantic", "dvc")


COMMANDS = sorted(next(action.choices for action in cli.parser()._actions
                       if isinstance(action, argparse._SubParsersAction)))


def test_help_imports_nothing_heavy() -> None:
    code = ("import sys; from aigc import cli; cli.parser().format_help(); "
            f"print([name for name in {HEAVY!r} if name in sys.modules])")
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": "src"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out) > 200


def test_a_wrong_command_line_exits_with_2() -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["verfy"])
    assert ended.value.code == 2
