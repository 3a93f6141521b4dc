"""Models that nobody trained, small and quick: what a test of the commands needs."""

import copy
import functools
from pathlib import Path
from typing import Any

import torch

from aigc import model
from aigc.core import config
from aigc.methods import contract
from conftest import ROOT

DATA = "d" * 64
ORIGIN = {"source": "folder", "licence": "CC0-1.0", "attribution": "Zoë 写真", "url": "https://example.org"}


@functools.cache
def committed_params() -> dict[str, Any]:
    return config.read(ROOT / "params.yaml")


def write_model(models: Path, method: str, seed: int = 0, classes: int = 10, size: int = 16, channels: int = 1) -> Path:
    """An untrained model of `method`, with the committed params but narrow, below `models`: its folder."""
    content = copy.deepcopy(committed_params())
    content[method]["width"] = 8
    chosen, shape = contract.load_config(method, content), contract.Shape(channels, size, classes)
    torch.manual_seed(seed)
    built = contract.build(method, chosen, shape).eval()
    model.write(models / method, built, method=method, config=chosen.model_dump(), shape=vars(shape),
                classes=[f"kind {n}" for n in range(classes)], seed=seed, data_sha256=DATA, origin=ORIGIN)
    return models / method
