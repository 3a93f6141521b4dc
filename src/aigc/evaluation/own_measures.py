"""Each family by its own measure, on real test pictures; beside it the same on training pictures: the gap is overfitting.

In batches of a fixed random order, as in training: a critic may see how much the pictures of a batch differ."""

import sys
from collections import defaultdict

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from aigc.core import randomness
from aigc.core.randomness import Purpose
from aigc.core.runtime import Device
from aigc.data.pictures import Pictures
from aigc.metrics.intervals import of_mean, rounded
from aigc.model.contract import Method
from aigc.networks.blocks import as_model_space

FEWEST_BATCHES = 20


def measure(method: Method, test: Pictures, train: Pictures, count: int, batch: int, device: Device) -> dict[str, dict[str, float]]:
    """The method's own measures over about `count` pictures of each split: the mean on test with Student's interval over
    batches, and `train`, the mean on training pictures. {} where the method has none. method: in eval mode on the device.

    batch: of the training; smaller where `count` has no FEWEST_BATCHES of it. Only whole batches are measured.
    """
    batch = max(1, min(batch, count // FEWEST_BATCHES))
    found = {name: _measure(method, split, count, batch, name, device) for name, split in (("test", test), ("train", train))}
    return {measure: {**of_mean(values.tolist()), "train": rounded(float(found["train"][measure].mean()))}
            for measure, values in found["test"].items()}


@torch.inference_mode()
def _measure(method: Method, split: Pictures, count: int, batch: int, name: str, device: Device) -> dict[str, np.ndarray]:
    """The mean of each measure over each batch: float64 (batches,)."""
    order, parts = randomness.Order(len(split), randomness.stream_seed(0, Purpose.OWN_MEASURES, of=name)), defaultdict[str, list[Tensor]](list)
    for step in tqdm(range(min(count, len(split)) // batch), desc=f"own measures on {name}", disable=None, file=sys.stderr):
        rows = order.indices(step * batch, batch).numpy()
        images, labels = (torch.from_numpy(array[rows]).to(device.torch_device) for array in (split.images, split.labels))
        rng = randomness.generator(0, Purpose.OWN_MEASURES, step, device.torch_device, of=name)
        for measure, values in method.own_measures(as_model_space(images), labels, rng).items():
            parts[measure].append(values.cpu().double().mean())
    return {measure: torch.stack(means).numpy() for measure, means in parts.items()}
