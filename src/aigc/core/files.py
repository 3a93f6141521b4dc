"""Files that are whole or absent, in bytes that depend on their content alone.

Everything that the project writes goes through `replacing`: a temporary file in the same folder, fsync,
rename. Not for: where files are (paths) or what they mean (provenance, model).
"""

import functools
import hashlib
import json
import os
import tokenize
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc.core.errors import StorageError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch

CHUNK = 1 << 20
MOST_ROWS = 1024
# What numpy raises on damaged .npy files.
NOT_NPY = (ValueError, EOFError, OverflowError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile)
METADATA_KEY = "aigc"  # a single key: the order of several keys would differ between processes


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; it is renamed to `path` if the block raises nothing.

    Raises StorageError with the name of `path` when the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush_to_disk(temporary)
        temporary.replace(path)
        _flush_to_disk(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}); "
                           "make room or give permission there, then run again") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, complete or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no NaN: equal values give equal text."""
    return json.dumps(value, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write `value` as canonical JSON."""
    write_bytes(path, canonical_json(value).encode())


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write `table` as CSV, without its index."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_json(path: Path) -> Any:
    """Read a JSON file that the pipeline wrote. Raises StorageError when it is missing or torn."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StorageError(f"{path}: missing; `dvc repro` makes it, `dvc checkout` restores it") from None
    except ValueError as error:
        raise StorageError(f"{path}: not readable as JSON ({error}); delete it and run `dvc repro`") from None


def read_object(path: Path, stage: str, *keys: str) -> dict[str, Any]:
    """Read a JSON object that `stage` wrote. keys: entries that it must have; "a.b" is the entry b of the object a.

    Raises StorageError if the file is missing, is not JSON or lacks an entry.
    """
    content = read_json(path)
    for key in ("", *keys):
        part = content
        for name in filter(None, key.split(".")):
            part = part.get(name) if isinstance(part, dict) else None
        if part is None or not (key or isinstance(part, dict)):
            raise StorageError(f"{path}: not what the stage `{stage}` writes ({f'no `{key}`' if key else 'no JSON object'}); "
                               f"run `dvc repro {stage}`")
    return dict(content)


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def md5(path: Path) -> str:
    """The md5 of a file's bytes, as DVC writes it into dvc.lock."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, functools.partial(hashlib.md5, usedforsecurity=False)).hexdigest()


def rows_at_once(size: int) -> int:
    """How many rows of `size` bytes fit in CHUNK bytes; at least 1, at most MOST_ROWS."""
    return min(MOST_ROWS, max(1, CHUNK // max(1, size)))


@contextmanager
def npy_rows(path: Path, shape: tuple[int | None, ...],
             dtype: "np.typing.DTypeLike") -> Iterator[Callable[["np.ndarray"], None]]:
    """Write an array to a .npy file a few rows at a time: yields a function that appends rows.

    shape[0] is None where the number of rows is not known yet; numpy's header has space to fill it in later.
    No memory map: a full disk raises an error on a stream, and SIGBUS under a memory map.
    """
    import numpy as np

    with replacing(path) as temporary, temporary.open("wb") as stream:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False,
                  "shape": (shape[0] or 0, *shape[1:])}
        np.lib.format.write_array_header_1_0(stream, header)
        written = 0

        def append(rows: "np.ndarray") -> None:
            nonlocal written
            stream.write(np.ascontiguousarray(rows, dtype=dtype).data)
            written += len(rows)

        yield append
        if shape[0] is None:
            stream.seek(0)
            np.lib.format.write_array_header_1_0(stream, {**header, "shape": (written, *shape[1:])})
        elif written != shape[0]:
            raise StorageError(f"{path}: {written} rows written where {shape[0]} were expected")


def write_npy(path: Path, array: "np.ndarray") -> None:
    """Write one array that fits in memory."""
    with npy_rows(path, array.shape, array.dtype) as append:
        append(array)


def map_npy(path: Path) -> "np.ndarray":
    """Open a .npy file memory-mapped and read-only. Pickled arrays are refused."""
    import numpy as np

    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise StorageError(f"{path}: missing; `dvc repro` makes it, `dvc checkout` restores it") from None
    except NOT_NPY as error:
        raise StorageError(f"{path}: not a whole .npy file ({error}); "
                           "delete it and run `dvc repro`") from None


def write_tensors(path: Path, tensors: Mapping[str, "torch.Tensor"], metadata: Any = None) -> None:
    """Write named tensors (and JSON-able metadata) as safetensors."""
    write_bytes(path, pack_tensors(tensors, metadata))


def pack_tensors(tensors: Mapping[str, "torch.Tensor"], metadata: Any = None) -> bytes:
    """The bytes of a safetensors file; equal tensors and metadata give equal bytes."""
    from safetensors.torch import save

    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
                {METADATA_KEY: json.dumps(metadata, sort_keys=True)})


def read_tensors(path: Path) -> tuple[dict[str, "torch.Tensor"], Any]:
    """Read what `write_tensors` wrote: (tensors on the CPU, metadata). Raises StorageError when torn."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            metadata = json.loads((stream.metadata() or {}).get(METADATA_KEY, "null"))
            return {name: stream.get_tensor(name) for name in stream.keys()}, metadata  # noqa: SIM118
    except FileNotFoundError:
        raise StorageError(f"{path}: missing; `dvc repro` makes it, `dvc checkout` restores it") from None
    except (SafetensorError, ValueError) as error:
        raise StorageError(f"{path}: not a whole safetensors file ({error}); "
                           "delete it and run `dvc repro`") from None
