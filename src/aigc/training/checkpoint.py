"""Everything that changes during training, on disk: whole or absent, verified before use, the previous one
kept.

A file's name has the sha256 of its bytes, so one rename writes content and hash together. Its metadata has
the identity of the training (params, data, code, requirements); a checkpoint of another training is
refused.
"""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aigc.core import config, files
from aigc.core.errors import StorageError

KEPT = 2  # files
NAMED_DIFFERENCES = 4  # in a message; more are counted
DIGEST_LENGTH = 32
FINISHED = "finished.json"


class Checkpoints:
    """The checkpoints of one training, in the folder NAME-FINGERPRINT. identity: the fingerprint's input."""

    def __init__(self, folder: Path, identity: Mapping[str, Any] | None = None) -> None:
        self.folder, self.identity = folder, dict(identity or {})

    def finish(self, out: Path) -> None:
        """Record that the stage wrote all of its outs. out: one of them, a file that dvc.lock lists."""
        files.write_json(self.folder / FINISHED, {"path": str(out), "md5": files.md5(out)})

    def start_anew_if_recorded(self) -> bool:
        """Delete all checkpoints if this training was finished and recorded; returns whether it was.

        Recorded: its out exists, or dvc.lock lists it. The stage then runs because of `dvc repro --force`,
        and trains from the start. Otherwise DVC was killed before it recorded the out, and the last
        checkpoint is the result.
        """
        if not (self.folder / FINISHED).exists():
            return False
        finished = files.read_json(self.folder / FINISHED)
        out, lock = Path(finished["path"]), Path("dvc.lock")
        exists = out.exists() and files.md5(out) == finished["md5"]
        is_in_lock = lock.exists() and f"md5: {finished['md5']}\n" in lock.read_text(errors="replace")
        if not exists and not is_in_lock:
            return False
        for path in [*self._newest_first(), self.folder / FINISHED]:
            path.unlink(missing_ok=True)
        return True

    def is_empty(self) -> bool:
        """Whether there is no checkpoint, whole or torn."""
        return not self._newest_first()

    def save(self, step: int, tensors: dict[str, Tensor], metadata: Any) -> None:
        """Write the state at `step` and delete all but the newest two checkpoints."""
        content = files.pack_tensors(tensors, {"identity": self.identity, "state": metadata})
        digest = hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]
        files.write_bytes(self.folder / f"{step:010d}-{digest}.safetensors", content)
        for old in self._newest_first()[KEPT:]:
            old.unlink(missing_ok=True)

    def latest(self) -> tuple[dict[str, Tensor], Any] | None:
        """The newest whole checkpoint of this training as (tensors, metadata); None when there is none.

        Removes every newer one that is torn or of another training, with a warning on stderr.
        """
        for path in self._newest_first():
            if files.sha256(path)[:DIGEST_LENGTH] != path.stem.partition("-")[2]:
                print(f"warning: {path}: torn or corrupted; removed, using the checkpoint before it",
                      file=sys.stderr)
            else:
                tensors, metadata = files.read_tensors(path)
                changes = difference(metadata.get("identity", {}), self.identity)
                if not changes:
                    return tensors, metadata["state"]
                print(f"warning: {path}: of another training ({changes}); removed", file=sys.stderr)
            path.unlink()
        self._explain_new_start()
        return None

    def _explain_new_start(self) -> None:
        """Print what changed since the newest checkpoint of another training of the same name, if any."""
        name = self.folder.name.rpartition("-")[0]
        if not name:
            return
        others = [path for path in self.folder.parent.glob(f"{name}-*/*-*.safetensors")
                  if path.parent != self.folder]
        if not others:
            return
        newest = max(others, key=lambda path: path.stat().st_mtime)
        try:
            there = files.read_tensors(newest)[1].get("identity", {})
        except StorageError:
            return
        print(f"{name}: starts afresh; the checkpoints in {newest.parent} are of another training "
              f"({difference(there, self.identity) or 'of unknown origin'})", file=sys.stderr)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("*-*.safetensors"), reverse=True)


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The difference between two identities, such as "params.train.seed: 1 there, 0 here"; "" if equal."""
    old, new = config.flatten(dict(there)), config.flatten(dict(here))
    keys = [key for key in sorted({**old, **new}) if old.get(key) != new.get(key)]
    changes = [f"{key} differs" if key.startswith(("code.", "deps.", "requirements")) else
               f"{key}: {old.get(key)} there, {new.get(key)} here" for key in keys[:NAMED_DIFFERENCES]]
    more = [f"and {len(keys) - len(changes)} more"] if len(keys) > len(changes) else []
    return ", ".join([*changes, *more])


def pack(modules: dict[str, nn.Module], optimizers: dict[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The states of modules and optimizers as named tensors."""
    tensors = {f"{name}/{key}": value
               for name, module in modules.items() for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{name}/{index}/{key}": value for key, value in state.items()}
    return tensors


def unpack(tensors: dict[str, Tensor], modules: dict[str, nn.Module],
           optimizers: dict[str, torch.optim.Optimizer]) -> None:
    """The inverse of `pack`, in place. Raises StorageError when the tensors do not fit these modules."""
    try:
        for name, module in modules.items():
            module.load_state_dict(_under(f"{name}/", tensors))
        for name, optimizer in optimizers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in _under(f"optimizer.{name}/", tensors).items():
                index, _, field = key.partition("/")
                state.setdefault(int(index), {})[field] = value
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": groups})
            _match_memory_layouts(optimizer)
    except torch.OutOfMemoryError:  # a RuntimeError too, but not the checkpoint's fault
        raise
    except (RuntimeError, ValueError) as error:
        raise StorageError(f"the checkpoint is of another model ({' '.join(str(error).split())[:200]}); "
                           "delete .checkpoints and run again") from None


def _match_memory_layouts(optimizer: torch.optim.Optimizer) -> None:
    """Give each moment the memory layout of its weight (channels_last or not), as Adam's fused step needs."""
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
