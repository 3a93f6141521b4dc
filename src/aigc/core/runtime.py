"""The one place that sets the global switches of torch and of the numeric libraries under it.

Two arithmetics. `portable`: CPU, fp32, a fixed number of threads and a capped instruction set, so that any x86-64
machine with AVX2 computes the same bytes. `fast`: cuda, else mps, else cpu, with all of its instructions;
deterministic on that machine. Standard library alone at import: the caps must stand in the environment before
numpy or torch are loaded.

No cap reaches torch.sqrt (and x ** 0.5) on the CPU: it is MKL's vector function, whose last bit hangs on the processor.
x * x.rsqrt() is the same everywhere. Batch normalisation calls it where its input is not contiguous.
"""

import math
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

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


class RuntimeConfig(Section):
    arithmetic: Arithmetic = "portable"
    threads: Annotated[int, Field(ge=1, le=1024)] = 2


def cap_environment(arithmetic: Arithmetic, threads: int) -> None:
    """Put the caps of `arithmetic` into the environment, over whatever stood there.

    Raises ConfigError when a numeric library is loaded already: it would not see them.
    """
    loaded = [name for name in NUMERIC_LIBRARIES if name in sys.modules]
    if loaded:
        raise ConfigError(f"{', '.join(loaded)} was imported before the arithmetic was chosen; "
                          "call runtime.cap_environment first")
    os.environ.update(dict.fromkeys(THREAD_COUNTS, str(threads)))
    # cuBLAS needs this before its first call to be deterministic.
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    os.environ["MPLBACKEND"] = "agg"
    # Waiting threads spin; at the default length a step becomes many times slower where others use the same cores.
    os.environ["GOMP_SPINCOUNT"] = "10000"
    if arithmetic == "portable":
        os.environ.update(PORTABLE_CAPS)


def is_capped() -> bool:
    """Whether this process computes under the caps of the portable arithmetic."""
    return os.environ.get("MKL_CBWR") == PORTABLE_CAPS["MKL_CBWR"]


@dataclass(frozen=True)
class Device:
    """Where and how tensors are computed."""

    torch_device: "torch.device"
    channels_last: bool
    low_precision: "torch.dtype | None"

    def autocast(self) -> "AbstractContextManager[object]":
        """The context in which a forward pass runs: bf16 where `fast` gains by it, else nothing."""
        import torch

        if self.low_precision is None:
            return nullcontext()
        return torch.autocast(self.torch_device.type, dtype=self.low_precision)

    def room(self) -> float:
        """Bytes of pictures that may lie in the device's memory: half of what is free; endless where that is the memory map's."""
        import torch

        if self.torch_device.type == "cuda":
            return torch.cuda.mem_get_info(self.torch_device)[0] / 2
        return torch.mps.recommended_max_memory() / 2 if self.torch_device.type == "mps" else math.inf


def start_torch(arithmetic: Arithmetic, threads: int) -> Device:
    """Set torch's switches for `arithmetic` and say where to compute. Call after `cap_environment`."""
    import torch

    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms(True), which also imports a compiler: two seconds
    # Filling every new tensor with NaN costs a sixth of a training step and guards against what we do not do.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if arithmetic == "portable":
        return Device(torch.device("cpu"), channels_last=False, low_precision=None)
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = False
        return Device(torch.device("cuda"), channels_last=True, low_precision=torch.bfloat16)
    if torch.backends.mps.is_available():
        return Device(torch.device("mps"), channels_last=True, low_precision=None)
    return Device(torch.device("cpu"), channels_last=True,
                  low_precision=torch.bfloat16 if _cpu_has_bf16() else None)


def _cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 natively; emulated bf16 is slower than fp32."""
    import torch

    return any(getattr(torch.cpu, probe, bool)() for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
