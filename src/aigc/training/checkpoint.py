"""Everything that changes during training, on disk: whole or absent, verified before use, the previous one kept.

A file's name holds the sha256 of its bytes, so that one rename commits both the content and its check. Its metadata says of which
training it is (params, data, code, requirements): the checkpoint of another one is refused.
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

KEPT = 2
NAMED_DIFFERENCES = 4
DIGEST_LENGTH = 32
FINISHED = "finished.json"


class Checkpoints:
    """The checkpoints of one training in one folder, NAME-FINGERPRINT. identity: what the fingerprint was made of."""

    def __init__(self, folder: Path, identity: Mapping[str, Any] | None = None) -> None:
        self.folder, self.identity = folder, dict(identity or {})

    def finish(self, out: Path) -> None:
        """Note that the stage wrote all of its outs; `out` is one of them, a file that DVC lists by its md5."""
        files.write_json(self.folder / FINISHED, {"path": str(out), "md5": files.md5(out)})

    def start_anew_if_recorded(self) -> bool:
        """Drop all checkpoints of a training that was finished and is in use; whether that was so.

        In use: an out lies here, or dvc.lock names it. Then the stage was asked to run once more (`dvc repro --force`), and
        trains anew. Otherwise DVC was killed before it recorded the end, and the last checkpoint is the result.
        """
        if not (self.folder / FINISHED).exists():
            return False
        noted = files.read_json(self.folder / FINISHED)
        out, lock = Path(noted["path"]), Path("dvc.lock")
        is_here = out.exists() and files.md5(out) == noted["md5"]
        if not is_here and not (lock.exists() and f"md5: {noted['md5']}\n" in lock.read_text(errors="replace")):
            return False
        for path in [*self._newest_first(), self.folder / FINISHED]:
            path.unlink(missing_ok=True)
        return True

    def save(self, step: int, tensors: dict[str, Tensor], metadata: Any) -> None:
        """Write the state at `step` and drop all but the newest two."""
        content = files.pack_tensors(tensors, {"identity": self.identity, "state": metadata})
        digest = hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]
        files.write_bytes(self.folder / f"{step:010d}-{digest}.safetensors", content)
        for old in self._newest_first()[KEPT:]:
            old.unlink(missing_ok=True)

    def latest(self) -> tuple[dict[str, Tensor], Any] | None:
        """The newest whole checkpoint of this training as (tensors, metadata); None when there is none.

        One that is torn, or of another training, is named on stderr, removed and passed over.
        """
        for path in self._newest_first():
            if files.sha256(path)[:DIGEST_LENGTH] != path.stem.partition("-")[2]:
                print(f"warning: {path}: torn or corrupted; removed, using the checkpoint before it", file=sys.stderr)
            else:
                tensors, metadata = files.read_tensors(path)
                other = difference(metadata.get("identity", {}), self.identity)
                if not other:
                    return tensors, metadata["state"]
                print(f"warning: {path}: of another training ({other}); removed", file=sys.stderr)
            path.unlink()
        self._tell_of_another_training()
        return None

    def _tell_of_another_training(self) -> None:
        """Say what changed since the newest checkpoint of the same name, so that nobody wonders why it starts afresh."""
        name = self.folder.name.rpartition("-")[0]
        others = [path for path in self.folder.parent.glob(f"{name}-*/*-*.safetensors") if path.parent != self.folder] if name else []
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
    """What tells two trainings apart, as text: "params.train.seed: 1 there, 0 here"; "" when nothing does."""
    flat = [config.flatten(dict(one)) for one in (there, here)]
    keys = [key for key in sorted({**flat[0], **flat[1]}) if flat[0].get(key) != flat[1].get(key)]
    told = [f"{key} differs" if key.startswith(("code.", "deps.", "requirements")) else
            f"{key}: {flat[0].get(key)} there, {flat[1].get(key)} here" for key in keys[:NAMED_DIFFERENCES]]
    return ", ".join([*told, *([f"and {len(keys) - len(told)} more"] if len(keys) > len(told) else [])])


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
            _lay_out_moments(optimizer)
    except (RuntimeError, ValueError) as error:
        raise StorageError(f"the checkpoint is of another model ({' '.join(str(error).split())[:200]}); "
                           "delete .checkpoints and run again") from None


def _lay_out_moments(optimizer: torch.optim.Optimizer) -> None:
    """Give each moment the memory layout of its weight: a fused step on channels_last weights needs both alike."""
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
