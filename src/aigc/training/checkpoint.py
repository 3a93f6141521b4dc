"""Everything that changes during training, on disk: whole or absent, verified before use, the previous one kept.

A file's name holds the sha256 of its bytes, so that one rename commits both the content and its check.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aigc.core import files
from aigc.core.errors import StorageError

KEPT = 2
DIGEST_LENGTH = 32


class Checkpoints:
    """The checkpoints of one training run in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, step: int, tensors: dict[str, Tensor], metadata: Any) -> None:
        """Write the state at `step` and drop all but the newest two."""
        content = files.pack_tensors(tensors, metadata)
        digest = hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]
        files.write_bytes(self.folder / f"{step:010d}-{digest}.safetensors", content)
        for old in self._newest_first()[KEPT:]:
            old.unlink(missing_ok=True)

    def latest(self) -> tuple[dict[str, Tensor], Any] | None:
        """The newest whole checkpoint as (tensors, metadata); a torn one is named on stderr and passed over."""
        for path in self._newest_first():
            if files.sha256(path)[:DIGEST_LENGTH] == path.stem.partition("-")[2]:
                return files.read_tensors(path)
            print(f"warning: {path}: torn or corrupted, using the checkpoint before it", file=sys.stderr)
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("*-*.safetensors"), reverse=True)


def pack(modules: dict[str, nn.Module], optimizers: dict[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Flatten modules and optimizer states into named tensors."""
    tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{name}/{index}/{key}": value for key, value in state.items()}
    return tensors


def unpack(tensors: dict[str, Tensor], modules: dict[str, nn.Module],
           optimizers: dict[str, torch.optim.Optimizer]) -> None:
    """The inverse of `pack`, in place. Raises StorageError when the tensors are not those of these modules."""
    try:
        for name, module in modules.items():
            module.load_state_dict(_under(f"{name}/", tensors))
        for name, optimizer in optimizers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in _under(f"optimizer.{name}/", tensors).items():
                index, _, field = key.partition("/")
                state.setdefault(int(index), {})[field] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    except (RuntimeError, ValueError) as error:
        raise StorageError(f"the checkpoint is of another model ({' '.join(str(error).split())[:200]}); "
                           "delete .checkpoints and run again") from None


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
