"""Many pictures at the model's size: the same blocks for any number of processes."""

from pathlib import Path

import numpy as np
import pytest

from aigc.core import files
from aigc.data import geometry, parts, resizing
from aigc.data.config import PreprocessConfig

SETTINGS = PreprocessConfig(size=16, channels=3, fit="crop", background=[255, 255, 255])


@pytest.mark.parametrize("processes", [1, 3])
def test_rows_are_resized_in_order_whatever_the_number_of_processes(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, processes: int) -> None:
    monkeypatch.setattr(resizing, "LITTLE", 0)
    monkeypatch.setattr(files, "CHUNK", 1 << 12)  # several blocks
    images, rows = rng.integers(0, 256, (40, 1, 24, 20), dtype=np.uint8), np.arange(39, 0, -1)
    np.save(tmp_path / "images.npy", images)
    blocks = list(resizing.resized(parts.open_parts(tmp_path), rows, SETTINGS, processes))
    expected = np.stack([geometry.fit_array(images[row], SETTINGS) for row in rows])
    assert len(blocks) > 1 and blocks[0].dtype == np.uint8
    np.testing.assert_array_equal(np.concatenate(blocks), expected)
