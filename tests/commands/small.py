"""Models that nobody trained, small and quick: what a test of the commands needs."""

import copy
import functools
from pathlib import Path
from typing import Any

import torch

from aigc import methods
from aigc.core import config
from aigc.model.card import write_model
from aigc.model.contract import Shape
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
    chosen, shape = methods.load_config(method, content), Shape(channels, size, classes)
    torch.manual_seed(seed)
    built = methods.build(method, chosen, shape).eval()
    write_model(models / method, built, method=method, config=chosen.model_dump(), shape=vars(shape),
                classes=[f"kind {n}" for n in range(classes)], seed=seed, data_sha256=DATA, origin=ORIGIN)
    return models / method
