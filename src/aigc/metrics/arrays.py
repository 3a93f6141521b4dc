"""Arrays of several metrics: features that are checked, and blocks of rows that bound the memory.
"""

from collections.abc import Iterator

import numpy as np

BLOCK_ELEMENTS = 1 << 23  # float64 numbers in one block of pairwise values: 64 MiB


def as_features(samples: np.ndarray, at_least: int) -> np.ndarray:
    """samples as float64 (n, d). Raises ValueError if not 2-D, fewer than `at_least` or not finite."""
    samples = np.asarray(samples, dtype=np.float64)
    if samples.ndim != 2:
        raise ValueError(f"features must be (n, d), found an array of shape {samples.shape}")
    if len(samples) < at_least:
        raise ValueError(f"at least {at_least} samples are needed, found {len(samples)}")
    if not np.isfinite(samples).all():
        row = int(np.flatnonzero(~np.isfinite(samples).all(1))[0])
        raise ValueError(f"row {row} holds a value that is not finite")
    return samples


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices that cover `rows`. A block of rows x `columns` has BLOCK_ELEMENTS numbers at most."""
    step = max(1, BLOCK_ELEMENTS // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
