"""Hashes of arrays, values and code: what a training is identified by."""

import hashlib
from typing import TYPE_CHECKING, Any

from aigc.core import files

if TYPE_CHECKING:
    import numpy as np


def array_sha256(array: "np.ndarray") -> str:
    """sha256 over dtype, shape and C-order bytes of an array; reads a memory map in chunks."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    rows = files.rows_at_once(array[:1].nbytes)
    for start in range(0, len(array), rows):
        digest.update(array[start:start + rows].tobytes())
    return digest.hexdigest()


def short_digest(value: Any) -> str:
    """The first 16 hexadecimal digits of the sha256 of a value's canonical JSON."""
    return hashlib.sha256(files.canonical_json(value).encode()).hexdigest()[:16]
