"""The arithmetic is set before numpy and torch are loaded; `fast` says where it computes."""

import os
import re
import subprocess
import sys
from unittest import mock

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
    with pytest.raises(ConfigError, match="numpy.* was imported before the arithmetic was set"):
        runtime.cap_environment("portable", 2)


def test_portable_overrules_a_hostile_environment() -> None:
    hostile = {
        "OMP_NUM_THREADS": "1",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "AUTO",
        "OPENBLAS_NUM_THREADS": "7",
        "LC_ALL": "C",
        "TZ": "Asia/Tokyo",
        "PYTHONHASHSEED": "99",
    }
    answers = {
        subprocess.run(
            [sys.executable, "-c", STEP],
            env={"PYTHONPATH": "src", "PATH": os.environ["PATH"], **extra},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for extra in ({}, hostile)
    }
    assert len(answers) == 1


FAST = (
    STEP.replace("portable", "fast")
    .replace("torch.manual_seed(0)", "torch.manual_seed(0); print(device.torch_device.type)")
    .replace('runtime.start_torch("fast", 2)', 'device = runtime.start_torch("fast", 2)')
)


def test_fast_is_deterministic_on_its_own_machine() -> None:
    answers = {
        subprocess.run(
            [sys.executable, "-c", FAST],
            env={"PYTHONPATH": "src", "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    }
    assert len(answers) == 1
    assert answers.pop().split()[0] in ("cuda", "mps", "cpu")


def test_fast_without_a_gpu_says_why_it_computes_on_the_cpu() -> None:
    done = subprocess.run([sys.executable, "-c", FAST], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": "src", "PATH": os.environ["PATH"], "CUDA_VISIBLE_DEVICES": ""})
    if done.stdout.split()[0] == "cpu":
        assert re.fullmatch(r"fast: no GPU that torch can use: \S.*; computing on the CPU\n", done.stderr)
    else:
        assert done.stderr == "fast: computing on this Mac's GPU (mps)\n"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            RuntimeError(
                "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors ..."
            ),
            "CUDA error: no kernel image is available for execution on the device",
        ),
        (
            RuntimeError(
                "The NVIDIA driver on your system is too old (found version 11040). Please update your driver"
            ),
            "The NVIDIA driver on your system is too old (found version 11040)",
        ),
        (AssertionError("Torch not compiled with CUDA enabled"), "Torch not compiled with CUDA enabled"),
    ],
)
def test_a_card_on_which_no_kernel_runs_is_not_used(capsys: pytest.CaptureFixture[str], error: Exception,
                                                    reason: str) -> None:
    with mock.patch("torch.ones", side_effect=error), \
            mock.patch("torch.backends.mps.is_available", return_value=False):
        device = runtime.start_torch("fast", 1)
    runtime.start_torch("portable", 1)
    assert device.torch_device.type == "cpu"
    assert capsys.readouterr().err == f"fast: no GPU that torch can use: {reason}; computing on the CPU\n"


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_is_named_and_has_bf16_only_where_it_is_native(capsys: pytest.CaptureFixture[str],
                                                             native: bool) -> None:
    import torch

    with (
        mock.patch.object(runtime, "_problem_with_cuda", return_value=""),
        mock.patch("torch.cuda.get_device_name", return_value="Some card"),
        mock.patch("torch.cuda.is_bf16_supported", lambda including_emulation: including_emulation or native),
    ):
        device = runtime.start_torch("fast", 1)
    runtime.start_torch("portable", 1)
    assert capsys.readouterr().err == "fast: computing on Some card (cuda)\n"
    assert device.torch_device.type == "cuda"
    assert device.low_precision is (torch.bfloat16 if native else None)


def test_the_device_is_part_of_the_identity_under_fast_alone() -> None:
    import torch

    for arithmetic, expected in (("portable", {}), ("fast", {"runtime.device": "mps"})):
        config = runtime.RuntimeConfig(arithmetic=arithmetic, threads=1)
        device = runtime.Device(torch.device("mps"), channels_last=True, low_precision=None)
        assert runtime.device_identity(config, device) == expected
