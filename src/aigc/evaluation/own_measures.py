"""The own measures of a method (an ELBO, a critic's accuracy) on real test and on training pictures.

Pictures come in batches in a fixed random order, as in training, because a critic's score may depend on the
batch.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping

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

MIN_BATCHES = 20
FLAG = "_collapsed"  # how a measure's name ends whose mean is above 1/2 where something collapsed


def collapsed(own: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What collapsed, as texts such as "codebook collapsed". own: the result of `measure`."""
    return [name.replace("_", " ") for name, measure in own.items()
            if name.endswith(FLAG) and measure["value"] > 0.5]


def measure(method: Method, test: Pictures, train: Pictures, count: int, batch_size: int,
            device: Device) -> dict[str, dict[str, float]]:
    """The method's own measures over about `count` pictures of each split; {} if the method has none.

    value, low, high: the mean on test pictures, with Student's interval over batches. train: the mean on
    training pictures.
    method: in eval mode on the device. batch_size: of the training; it is reduced until `count` has
    MIN_BATCHES batches. Only whole batches are used.
    """
    batch_size = max(1, min(batch_size, count // MIN_BATCHES))
    means = {name: _batch_means(method, split, count, batch_size, name, device)
             for name, split in (("test", test), ("train", train))}
    return {measure: {**of_mean(values.tolist()), "train": rounded(float(means["train"][measure].mean()))}
            for measure, values in means["test"].items()}


@torch.inference_mode()
def _batch_means(method: Method, split: Pictures, count: int, batch_size: int, name: str,
                 device: Device) -> dict[str, np.ndarray]:
    """The mean of each measure over each batch: float64 (batches,)."""
    order = randomness.Order(len(split), randomness.stream_seed(0, Purpose.OWN_MEASURES, of=name))
    batches, means = min(count, len(split)) // batch_size, defaultdict[str, list[Tensor]](list)
    for step in tqdm(range(batches), desc=f"own measures on {name}", disable=None, file=sys.stderr):
        rows = order.indices(step * batch_size, batch_size).numpy()
        images, labels = (torch.from_numpy(array[rows]).to(device.torch_device)
                          for array in (split.images, split.labels))
        rng = randomness.generator(0, Purpose.OWN_MEASURES, step, device.torch_device, of=name)
        for measure, values in method.own_measures(as_model_space(images), labels, rng).items():
            means[measure].append(values.cpu().double().mean())
    return {measure: torch.stack(values).numpy() for measure, values in means.items()}
