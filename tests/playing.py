"""Training pictures with the file of the audit, as the stages write them: what `aigc play` compares with."""

from pathlib import Path

import numpy as np

from aigc.core import files, paths
from aigc.data import pictures
from aigc.evaluation import memorization_audit
from aigc.evaluation.config import AuditConfig


def write_training(project: Path, count: int = 120, size: int = 16) -> np.ndarray:
    """Write `count` pictures of noise, and what the audit knows of them: uint8 (count, 1, size, size)."""
    rng = np.random.default_rng(1)
    train, test = rng.integers(0, 256, (2, count, 1, size, size), dtype=np.uint8)
    folder = project / paths.PROCESSED / "train"
    files.write_npy(folder / "images.npy", train)
    pictures.write_labels(folder, np.arange(count) % 10, [f"kind {n}" for n in range(10)])
    audit = memorization_audit.prepare_audit(
        train, rng.normal(size=(count, 2)), test, rng.normal(size=(count, 2)),
        AuditConfig.model_validate({"survey": 25000, "classifier_images": 1, "near_duplicate": 0.01,
                                    "max_near_duplicates": 0.05}))
    memorization_audit.write(project / paths.REFERENCE, audit)
    return train
