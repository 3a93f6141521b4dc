"""Rows of an array of pictures at the model's size, resized in several processes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from aigc.core import files
from aigc.data import geometry, workers
from aigc.data.config import PreprocessConfig
from aigc.data.parts import Parts

LITTLE = 1 << 28  # bytes of pictures; for fewer, starting processes takes longer than the work


class Task(NamedTuple):
    """Some rows of an array of pictures. rows: int64 (n,)."""

    source: Parts
    rows: np.ndarray
    settings: PreprocessConfig


def resized(source: Parts, rows: np.ndarray, settings: PreprocessConfig,
            processes: int) -> Iterator[np.ndarray]:
    """`rows` of the pictures, in order, as blocks of uint8 (n, channels, size, size).

    The blocks are the same for any number of processes. Memory holds a few MiB a process.
    """
    result = settings.channels * settings.size**2
    step = files.rows_at_once(max(source[0].nbytes, result))
    tasks = (Task(source, rows[start:start + step], settings) for start in range(0, len(rows), step))
    is_little = source[0].nbytes * len(rows) < LITTLE or source.shape[1:] == (
        settings.channels, settings.size, settings.size)
    return workers.in_order(_resize, tasks, 1 if is_little else processes, lambda task: f"row {task.rows[0]}")


def _resize(task: Task) -> np.ndarray:
    return np.stack([geometry.fit_array(image, task.settings) for image in task.source[task.rows]])
