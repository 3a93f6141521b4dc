"""Hashes name what they are of."""

import numpy as np

from aigc.core import hashes


def test_an_arrays_hash_sees_content_shape_and_type() -> None:
    base = np.arange(12, dtype=np.int64)
    others = [base.reshape(3, 4), base.astype(np.float64), base[::-1], np.append(base, 0)]
    assert len({hashes.array_sha256(array) for array in (base, *others)}) == 5
    assert hashes.array_sha256(base) == hashes.array_sha256(base.copy())
