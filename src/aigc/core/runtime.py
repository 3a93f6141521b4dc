"""The only place that sets the global switches of torch and of the numeric libraries under it.

There are two arithmetics. `portable`: CPU, fp32, a fixed number of threads and a capped instruction set, so
that any x86-64 machine with AVX2 computes the same bytes. `fast`: cuda, else mps, else cpu, with all of its
instructions; the same machine computes the same bytes. This module imports neither numpy nor torch at its
top: the caps must be in the environment before they are loaded.

torch.sqrt (and x ** 0.5) on the CPU is not portable: it calls MKL, and the last bit depends on the CPU. No
cap changes that. Use x * x.rsqrt(). Batch normalisation calls torch.sqrt when its input is not contiguous.
"""

import math
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aigc.core import cuda
from aigc.core.config import Section
from aigc.core.errors import ConfigError

if TYPE_CHECKING:
    import torch

Arithmetic = Literal["portable", "fast"]

# Read once, when the library is loaded. numpy >= 2.4 names its features by level; older names are ignored.
PORTABLE_CAPS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_DYNAMIC": "FALSE",
    "OMP_DYNAMIC": "FALSE",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
NUMERIC_LIBRARIES = ("numpy", "scipy", "torch")
CGROUP = Path("/sys/fs/cgroup")


class RuntimeConfig(Section):
    arithmetic: Arithmetic = "portable"
    threads: Annotated[int, Field(ge=1, le=1024)] = 2


def cap_environment(arithmetic: Arithmetic, threads: int) -> None:
    """Set the environment variables of `arithmetic`; existing values are replaced.

    Raises ConfigError when a numeric library is already loaded, because it would not read them.
    """
    loaded = [name for name in NUMERIC_LIBRARIES if name in sys.modules]
    if loaded:
        raise ConfigError(f"{', '.join(loaded)} was imported before the arithmetic was set; "
                          "call runtime.cap_environment first")
    os.environ.update(dict.fromkeys(THREAD_COUNTS, str(threads)))
    # cuBLAS needs this before its first call to be deterministic.
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    os.environ["MPLBACKEND"] = "agg"
    # Waiting threads spin. With the default length a step is many times slower if other processes use the
    # cores.
    os.environ["GOMP_SPINCOUNT"] = "10000"
    if arithmetic == "portable":
        os.environ.update(PORTABLE_CAPS)


def is_capped() -> bool:
    """Whether this process has the caps of the portable arithmetic."""
    return os.environ.get("MKL_CBWR") == PORTABLE_CAPS["MKL_CBWR"]


@dataclass(frozen=True)
class Device:
    """Where and how tensors are computed. low_precision: of autocast, None = fp32. compiles: whether networks
    are compiled for training.
    """

    torch_device: "torch.device"
    channels_last: bool
    low_precision: "torch.dtype | None"
    compiles: bool = False

    def autocast(self) -> "AbstractContextManager[object]":
        """The context of a forward pass: autocast where there is a `low_precision`, else nothing."""
        import torch

        if self.low_precision is None:
            return nullcontext()
        return torch.autocast(self.torch_device.type, dtype=self.low_precision)

    @property
    def precision(self) -> str:
        """The type of most products, such as bfloat16."""
        return str(self.low_precision or "float32").removeprefix("torch.")

    def memory_for_images(self) -> float:
        """How many bytes of images to keep on the device: half of its free memory; on the CPU, no limit."""
        import torch

        if self.torch_device.type == "cuda":
            return torch.cuda.mem_get_info(self.torch_device)[0] / 2
        return torch.mps.recommended_max_memory() / 2 if self.torch_device.type == "mps" else math.inf

    def free_memory(self) -> int:
        """The bytes that can still be allocated on the device; on the CPU, without the swap."""
        import psutil
        import torch

        if self.torch_device.type == "cuda":
            return torch.cuda.mem_get_info(self.torch_device)[0]
        if self.torch_device.type == "mps":
            return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
        return min(psutil.virtual_memory().available, _free_in_container())


def _free_in_container() -> int:
    """The bytes that the limit of this container (cgroup v2) leaves; without a limit, a huge number."""
    try:
        limit, stat = ((CGROUP / f"memory.{name}").read_text() for name in ("max", "stat"))
        return int(limit) - int(stat.split()[1])  # `anon` comes first; the kernel gives its file cache back
    except (OSError, ValueError):  # no such file; "max" = no limit
        return sys.maxsize


def start_torch(arithmetic: Arithmetic, threads: int) -> Device:
    """Set torch's switches for `arithmetic` and choose the device. Call after `cap_environment`.

    Prints the device of `fast` on stderr; for the CPU also why it is no GPU.
    """
    import torch

    torch.set_num_threads(threads)
    # The same as use_deterministic_algorithms(True), which also imports a compiler; that takes two seconds.
    torch.set_deterministic_debug_mode("error")
    # By default deterministic mode fills new tensors with NaN. That costs a sixth of a step and finds bugs
    # only.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if arithmetic == "portable":
        return Device(torch.device("cpu"), channels_last=False, low_precision=None)
    problem = cuda.problem()
    if not problem:
        cuda.start()
        not_compiled = cuda.problem_with_compiling()
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        device = Device(torch.device("cuda"), channels_last=True,
                        low_precision=torch.bfloat16 if has_bf16 else None, compiles=not not_compiled)
        print(f"fast: computing on {cuda.description()} in {device.precision}, networks "
              f"{f'not compiled: {not_compiled}' if not_compiled else 'compiled for training'}",
              file=sys.stderr)
        return device
    if torch.backends.mps.is_available():
        print("fast: computing on this Mac's GPU (mps) in float32", file=sys.stderr)
        return Device(torch.device("mps"), channels_last=True, low_precision=None)
    # On the CPU compiling gains nothing, and bf16, even where it is native, takes 1.3 times to twice as long
    # as fp32: the products are small, and the casts cost more than they save.
    device = Device(torch.device("cpu"), channels_last=True, low_precision=None)
    print(f"warning: fast: no GPU that torch can use: {problem}; computing on the CPU in {device.precision}, "
          "many times slower than on a GPU", file=sys.stderr)
    return device


def device_identity(config: RuntimeConfig, device: Device) -> dict[str, str]:
    """What a training's fingerprint has beside its params: under `fast` the type of the device, that of the
    numbers, and whether networks are compiled; under `portable` nothing.

    Each changes bytes, so a training must not continue with another one.
    """
    if config.arithmetic == "portable":
        return {}
    return {"runtime.device": device.torch_device.type, "runtime.dtype": device.precision,
            "runtime.compiled": str(device.compiles).lower()}
