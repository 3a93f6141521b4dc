"""The arithmetic is chosen before anything computes."""

import os
import subprocess
import sys

import pytest

from aigc.core import runtime
from aigc.core.errors import ConfigError

STEP = """
from aigc.core import runtime
runtime.cap_environment("portable", 2)
import torch, hashlib
runtime.start_torch("portable", 2)
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 4, 2), torch.nn.Flatten(), torch.nn.Linear(8 * 13 * 13, 10))
for _ in range(3):
    net(torch.randn(32, 1, 28, 28)).square().mean().backward()
print(hashlib.sha256(b"".join(p.grad.numpy().tobytes() for p in net.parameters())).hexdigest())
"""


def test_caps_are_refused_once_numpy_is_loaded() -> None:
    with pytest.raises(ConfigError, match="numpy.* was imported before the arithmetic was chosen"):
        runtime.cap_environment("portable", 2)


def test_portable_overrules_a_hostile_environment() -> None:
    hostile = {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "AUTO", "OPENBLAS_NUM_THREADS": "7",
               "LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "99"}
    answers = {subprocess.run([sys.executable, "-c", STEP], env={"PYTHONPATH": "src", "PATH": os.environ["PATH"], **extra},
                              capture_output=True, text=True, check=True).stdout for extra in ({}, hostile)}
    assert len(answers) == 1


FAST = STEP.replace("portable", "fast").replace("torch.manual_seed(0)", "torch.manual_seed(0); print(device.torch_device.type)").replace(
    'runtime.start_torch("fast", 2)', 'device = runtime.start_torch("fast", 2)')


def test_fast_is_deterministic_on_its_own_machine() -> None:
    answers = {subprocess.run([sys.executable, "-c", FAST], env={"PYTHONPATH": "src", "PATH": os.environ["PATH"]},
                              capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(answers) == 1
    assert answers.pop().split()[0] in ("cuda", "mps", "cpu")
