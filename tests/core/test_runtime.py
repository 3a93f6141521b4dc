"""The arithmetic is set before numpy and torch are loaded; `fast` says where it computes."""

import os
import re
import subprocess
import sys
from unittest import mock

import pytest

from aigc.core import cuda, runtime
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


def test_fast_without_a_gpu_warns_and_says_why_it_computes_on_the_cpu() -> None:
    done = subprocess.run([sys.executable, "-c", FAST], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": "src", "PATH": os.environ["PATH"], "CUDA_VISIBLE_DEVICES": ""})
    if done.stdout.split()[0] == "cpu":
        assert re.fullmatch(r"warning: fast: no GPU that torch can use: \S.*; computing on the CPU in "
                            r"float32, many times slower than on a GPU\n", done.stderr)
    else:
        assert done.stderr == "fast: computing on this Mac's GPU (mps) in float32\n"


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_is_named_and_has_bf16_only_where_it_is_native(capsys: pytest.CaptureFixture[str],
                                                             native: bool, compiled: bool) -> None:
    import torch

    with (
        mock.patch.object(cuda, "problem", return_value=""),
        mock.patch.object(cuda, "problem_with_compiling", return_value="" if compiled else "no Triton"),
        mock.patch.object(cuda, "start"),
        mock.patch.object(cuda, "description", return_value="Some card (cuda, sm_90)"),
        mock.patch("torch.cuda.is_bf16_supported", lambda including_emulation: including_emulation or native),
    ):
        device = runtime.start_torch("fast", 1)
    runtime.start_torch("portable", 1)
    assert capsys.readouterr().err == (
        f"fast: computing on Some card (cuda, sm_90) in {'bfloat16' if native else 'float32'}, networks "
        f"{'compiled for training' if compiled else 'not compiled: no Triton'}\n")
    assert device.torch_device.type == "cuda" and device.compiles == compiled
    assert device.low_precision is (torch.bfloat16 if native else None)


def test_what_changes_bytes_is_part_of_the_identity_under_fast_alone() -> None:
    import torch

    def identity(arithmetic: runtime.Arithmetic, **other: object) -> dict[str, str]:
        plain = {"torch_device": torch.device("mps"), "channels_last": True, "low_precision": None}
        device = runtime.Device(**{**plain, **other})  # type: ignore[arg-type]
        return runtime.device_identity(runtime.RuntimeConfig(arithmetic=arithmetic, threads=1), device)

    assert identity("portable") == {}
    assert identity("fast") == {"runtime.device": "mps", "runtime.dtype": "float32",
                                "runtime.compiled": "false"}
    others = [identity("fast", torch_device=torch.device("cuda")), identity("fast", compiles=True),
              identity("fast", low_precision=torch.bfloat16)]
    assert all(other != identity("fast") for other in others)
    assert others[2]["runtime.dtype"] == "bfloat16"
