"""Other processors make the same bytes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from projects import ROOT, environment_of
from small import committed_params


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("qemu-x86_64") is None, reason="no qemu-x86_64 on this machine (Debian: qemu-user)"
)
@pytest.mark.parametrize("cpu", ["Haswell", "EPYC-Rome"])
def test_weights_samples_and_metrics_of_every_method_are_the_same_under_an_emulated_processor(
    cpu: str,
) -> None:
    command = [sys.executable, str(Path("benchmarks") / "machines.py"), "--cpu", cpu, "--steps", "2"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment_of(PYTHONPATH="src"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, *lines = done.stdout.splitlines()
    assert (
        first.startswith("against this machine")
        and len(lines) == len(committed_params()["methods"])
        and all(line.endswith("identical") for line in lines)
    )
