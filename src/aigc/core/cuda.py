"""What is special to CUDA, in one place: whether torch can use the card, which one it is, what may compile.

Nothing here was seen running on a card: docs/gpu.md.
"""

import importlib.util
import itertools
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aigc.core.errors import ConfigError

VISIBLE = "CUDA_VISIBLE_DEVICES"
DRIVER = Path("/proc/driver/nvidia/version")  # Linux only
DISABLED = ("TORCH_COMPILE_DISABLE", "TORCHDYNAMO_DISABLE")  # torch's own switches against torch.compile


def problem() -> str:
    """Why torch cannot compute on a CUDA device, as its own first sentence; "" if it can.

    It runs a kernel: a driver can be there and still not fit. Raises ConfigError for a card that this torch
    was not built for.
    """
    import torch

    try:
        if torch.cuda.is_available():
            check_card(torch.cuda.get_device_name(), torch.cuda.get_device_capability(),
                       torch.cuda.get_arch_list())
        torch.ones(1, device="cuda").add(1).cpu()
    except (RuntimeError, AssertionError) as error:  # no driver, no card; torch without CUDA
        return str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
    return ""


def check_card(name: str, capability: tuple[int, int], built_for: Sequence[str]) -> None:
    """Raises ConfigError if no code in this torch runs on a card of this compute capability.

    built_for: such as ["sm_80", "sm_90", "compute_90"]. sm_80 runs on 8.x from 8.0 on; compute_90 is
    compiled anew for any later card.
    """
    found = [re.fullmatch(r"(sm|compute)_(\d+)(\d)[a-z]?", architecture) for architecture in built_for]
    known = [(match[1], (int(match[2]), int(match[3]))) for match in found if match]
    fits = [built <= capability and (kind == "compute" or built[0] == capability[0]) for kind, built in known]
    if known and not any(fits):
        raise ConfigError(f"runtime.arithmetic: fast: this torch has no code for {name} (sm_{capability[0]}"
                          f"{capability[1]}), only for {', '.join(built_for)}; install a torch wheel for it, "
                          "or set CUDA_VISIBLE_DEVICES= to compute on the CPU")


def check_processes(count: int, variable: str) -> bool:
    """Whether there are cards. Raises ConfigError if they are fewer than `count`, which `variable` sets."""
    import torch

    if not torch.cuda.is_available():
        return False
    if count > (found := torch.cuda.device_count()):
        raise ConfigError(f"{variable}={count}: a process needs a GPU of its own, and there are {found}")
    return True


def see_only(number: int) -> None:
    """Of the cards that this process may see, leave it one. Call before torch looks for them."""
    named = os.environ.get(VISIBLE)
    cards = named.split(",") if named is not None else map(str, range(number + 1))
    os.environ[VISIBLE] = next(itertools.islice(cards, number, None), "")


def start() -> None:
    """Set torch's switches for CUDA."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = False


def description() -> str:
    """The card as text: name, capability, memory, driver."""
    import torch

    card = torch.cuda.get_device_properties(0)
    return (f"{card.name} (cuda, sm_{card.major}{card.minor}, {card.total_memory / 2**30:.0f} GiB, driver "
            f"{driver()}, torch for CUDA {torch.version.cuda})")


def driver() -> str:
    """The version of the NVIDIA driver, such as 580.65.06; "unknown" where the system does not say."""
    try:
        found = re.search(r"\d+\.\d+(\.\d+)?", DRIVER.read_text())
    except OSError:
        found = None
    return found[0] if found else "unknown"


def problem_with_compiling() -> str:
    """Why torch.compile cannot make kernels for a card here; "" if it can, as far as can be seen."""
    if switch := next((name for name in DISABLED if os.environ.get(name) == "1"), ""):
        return f"{switch}=1"
    if importlib.util.find_spec("triton") is None:
        return "no Triton"
    if not any(map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))):
        return "no C compiler"
    return ""


@contextmanager
def without_tf32() -> Iterator[None]:
    """fp32 products in full precision on a card; elsewhere nothing."""
    import torch

    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
