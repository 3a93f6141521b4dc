"""What every metric asks of its input, said once."""

import numpy as np


def features(samples: np.ndarray, at_least: int) -> np.ndarray:
    """samples as float64 (n, d). Raises ValueError when they are not 2-D, too few or not finite."""
    samples = np.asarray(samples, dtype=np.float64)
    if samples.ndim != 2:
        raise ValueError(f"features must be (n, d), found an array of shape {samples.shape}")
    if len(samples) < at_least:
        raise ValueError(f"at least {at_least} samples are needed, found {len(samples)}")
    if not np.isfinite(samples).all():
        row = int(np.flatnonzero(~np.isfinite(samples).all(1))[0])
        raise ValueError(f"row {row} holds a value that is not finite")
    return samples
