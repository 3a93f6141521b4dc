"""Which cards torch can use, and what is said where it cannot. No test has a card: docs/gpu.md."""

from pathlib import Path
from unittest import mock

import pytest

from aigc.core import cuda
from aigc.core.errors import ConfigError

BUILT = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]  # of torch 2.14.1+cu130


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
def test_a_card_on_which_no_kernel_runs_is_not_used(error: Exception, reason: str) -> None:
    with mock.patch("torch.ones", side_effect=error):
        assert cuda.problem() == reason


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 9), (9, 0), (12, 0), (12, 1), (13, 0)])
def test_a_card_that_the_wheel_has_code_for_is_taken(capability: tuple[int, int]) -> None:
    cuda.check_card("Some card", capability, BUILT)


@pytest.mark.parametrize(("capability", "built"), [((6, 1), BUILT), ((7, 0), BUILT), ((11, 0), BUILT),
                                                   ((12, 0), ["sm_90a", "sm_100"]), ((8, 0), ["sm_86"])])
def test_another_card_is_refused_with_the_remedy(capability: tuple[int, int], built: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        cuda.check_card("Some card", capability, built)
    card = f"Some card (sm_{capability[0]}{capability[1]})"
    assert str(caught.value) == (
        f"runtime.arithmetic: fast: this torch has no code for {card}, only for {', '.join(built)}; install "
        "a torch wheel for it, or set CUDA_VISIBLE_DEVICES= to compute on the CPU")


def test_cards_of_another_maker_are_not_judged_by_nvidias_names() -> None:
    cuda.check_card("Some card", (9, 4), ["gfx90a", "gfx942"])


def test_the_driver_is_read_from_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "DRIVER", tmp_path / "version")
    assert cuda.driver() == "unknown"
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun\n")
    assert cuda.driver() == "580.65.06"


def test_torchs_own_switch_turns_compiling_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_COMPILE_DISABLE", "1")
    assert cuda.problem_with_compiling() == "TORCH_COMPILE_DISABLE=1"
    monkeypatch.delenv("TORCH_COMPILE_DISABLE")
    with mock.patch("importlib.util.find_spec", return_value=None):
        assert cuda.problem_with_compiling() == "no Triton"
    with mock.patch("importlib.util.find_spec"), mock.patch("shutil.which", return_value=None):
        assert cuda.problem_with_compiling() == "no C compiler"


def test_full_precision_ends_with_its_block() -> None:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    with cuda.without_tf32():
        assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32
