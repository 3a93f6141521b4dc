"""The memory that a training needs, estimated before it starts: a refusal with the remedy, not a crash.

The estimate is a lower limit: what it refuses cannot run, what it accepts may still run out.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from aigc.core import paths
from aigc.core.errors import ConfigError
from aigc.core.runtime import Device
from aigc.model.contract import MethodConfig, Trainable

COPIES = 5  # float32 of each parameter: weight, average, gradient and Adam's two moments
PROBE = 2  # images a batch; a batch normalisation needs more than one
STEPS = 4  # probed, evenly over the run: a lazy penalty acts on some steps only, a player on a part of them
GIB = 2**30


def check_weights(label: str, build: Callable[[], Trainable], config: MethodConfig, device: Device) -> None:
    """Raises ConfigError when the parameters alone do not fit the device. Allocates nothing."""
    with torch.device("meta"):
        model = build()
    _check(label, model, config, device, weights_bytes(model))


def check_batch(label: str, model: Trainable, config: MethodConfig, device: Device, shards: int = 1) -> None:
    """Raises ConfigError when parameters and one batch do not fit the device. model: on the CPU, untrained.

    The average and the optimizer are counted although they do not exist yet. shards: of a batch; one is
    computed at a time.
    """
    batch = config.batch_size // shards * activation_bytes(model)
    # The weights are allocated already.
    _check(label, model, config, device, weights_bytes(model) * (COPIES - 1) // COPIES + int(batch))


def weights_bytes(model: Trainable) -> int:
    """The bytes of the parameters, their average, their gradients and Adam's moments."""
    return COPIES * sum(parameter.numel() * 4 for parameter in model.parameters())


def activation_bytes(model: Trainable) -> float:
    """The bytes per image of a batch that the largest backward pass keeps. Computed on a copy of `model`."""
    model = copy.deepcopy(model)
    count = PROBE * model.batches_per_update
    real = torch.zeros(count, *model.shape.image)
    labels = torch.full((count,), 0 if model.shape.has_classes else -1)
    most = 0
    for step in range(STEPS):
        model.progress = step / STEPS
        updates = model.updates(real, labels, torch.Generator().manual_seed(step))
        while True:
            kept = _Kept([parameter.data_ptr() for parameter in model.parameters()])
            with torch.autograd.graph.saved_tensors_hooks(kept.add, lambda tensor: tensor):
                if next(updates, None) is None:
                    break
            most = max(most, kept.bytes)
    return most / PROBE


class _Kept:
    """Counts the bytes of the tensors that autograd keeps, each storage once, without the weights."""

    def __init__(self, weights: list[int]) -> None:
        self.counted = set(weights)
        self.bytes = 0

    def add(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.counted:
            self.counted.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        return tensor


def _check(label: str, model: Trainable, config: MethodConfig, device: Device, needed: int) -> None:
    free = device.free_memory()
    if needed <= free:
        return
    size, width = model.shape.size, getattr(config, "width", None)
    settings = f"batch_size {config.batch_size}{f' and width {width}' if width else ''}"
    raise ConfigError(f"{label}: pictures of {size} x {size} pixels at {settings} need at least "
                      f"{needed / GIB:.1f} GiB of memory, {device.torch_device} has {free / GIB:.1f} free; "
                      f"lower `batch_size`{' or `width`' if width else ''} under `{label}`, or "
                      f"`preprocess.size`, in {paths.PARAMS}")
