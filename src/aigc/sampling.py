"""Samples in blocks of a fixed size, so that picture i is the same bytes however many were asked for.

Block b draws from (seed, b) alone, and the last block is computed whole and cut. Changing BLOCK changes every sample.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from aigc.core.errors import ConfigError
from aigc.methods.contract import Method
from aigc.networks.blocks import as_bytes
from aigc.training.randomness import generator

BLOCK = 128
UNLABELLED = -1


def default_labels(method: Method, count: int) -> Tensor:
    """Picture i of a conditional method is of class i mod classes; of another method it is unlabelled: int64 (count,)."""
    index = torch.arange(count)
    return index % method.shape.classes if method.conditional else torch.full_like(index, UNLABELLED)


def check_labels(method: Method, labels: Tensor) -> None:
    """Raises ConfigError when a label cannot be sampled by this method."""
    if not method.conditional:
        if (labels != UNLABELLED).any():
            raise ConfigError("this method cannot be asked for a class: it was not trained with labels")
    elif ((labels < 0) | (labels >= method.shape.classes)).any():
        bad = labels[(labels < 0) | (labels >= method.shape.classes)][0]
        raise ConfigError(f"label {int(bad)} is out of range: this model knows 0 to {method.shape.classes - 1}")


@torch.inference_mode()
def blocks(method: Method, seed: int, count: int, labels: Tensor | None = None) -> Iterator[Tensor]:
    """Yield `count` samples as uint8 (b, C, H, W) on the CPU, block by block.

    method: in eval mode, on the device that samples. labels: int64 (count,), default `default_labels`.
    """
    device = next(method.parameters()).device
    labels = default_labels(method, count) if labels is None else labels
    check_labels(method, labels)
    for start in range(0, count, BLOCK):
        wanted = labels[start:start + BLOCK]
        padded = torch.cat([wanted, wanted[-1:].expand(BLOCK - len(wanted))]).to(device)
        images = method.sample(padded, generator(seed, "sample", start // BLOCK, device))
        yield as_bytes(images)[:len(wanted)].cpu()
