"""Each family by its own measure, on real test pictures; beside it the same on training pictures: the gap is overfitting."""

import sys
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from aigc.core.runtime import Device
from aigc.data.pictures import Pictures
from aigc.methods.contract import Method
from aigc.metrics.intervals import of_mean, rounded
from aigc.networks.blocks import as_model_space
from aigc.training import randomness

ROWS = 250


def judge(method: Method, test: Pictures, train: Pictures, count: int, device: Device) -> dict[str, dict[str, float]]:
    """The method's own measures over the first `count` pictures of each split: the mean on test with Student's interval, and
    `train`, the mean on training pictures. {} where the method has none. method: in eval mode on the device."""
    found = {name: _measure(method, split, count, name, device) for name, split in (("test", test), ("train", train))}
    return {measure: {**of_mean(values.tolist()), "train": rounded(float(found["train"][measure].mean()))}
            for measure, values in found["test"].items()}


@torch.inference_mode()
def _measure(method: Method, split: Pictures, count: int, name: str, device: Device) -> dict[str, np.ndarray]:
    parts: dict[str, list[Tensor]] = {}
    bar = tqdm(list(_batches(split, count)), desc=f"own measures on {name}", disable=None, file=sys.stderr)
    for step, (images, labels) in enumerate(bar):
        rng = randomness.generator(0, f"own measures on {name}", step, device.torch_device)
        measured = method.own_measures(as_model_space(images.to(device.torch_device)), labels.to(device.torch_device), rng)
        for measure, values in measured.items():
            parts.setdefault(measure, []).append(values.cpu().double())
    return {measure: torch.cat(values).numpy() for measure, values in parts.items()}


def _batches(split: Pictures, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, min(count, len(split)), ROWS):
        stop = min(start + ROWS, count, len(split))
        yield torch.from_numpy(np.array(split.images[start:stop])), torch.from_numpy(split.labels[start:stop])
