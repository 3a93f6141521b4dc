"""Samples in blocks of a fixed size, so that the bytes of sample i do not depend on the number of samples.

Block b draws from (seed, b) alone. The last block is computed in full and then cut. A new BLOCK changes
every sample.
"""

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from aigc.core.config import Count, Positive, Section, Seed
from aigc.core.errors import ConfigError
from aigc.core.randomness import Purpose, generator
from aigc.model.contract import Method
from aigc.networks.blocks import as_bytes, as_model_space

BLOCK = 128
UNLABELLED = -1


class GenerateConfig(Section):
    seed: Seed
    count: Count
    temperature: Positive


def default_labels(method: Method, count: int, first: int = 0) -> Tensor:
    """Sample i has class i mod classes for a conditional method, else no label: int64 (count,).

    first: the index i of the first label.
    """
    index = torch.arange(first, first + count)
    return index % method.shape.classes if method.conditional else torch.full_like(index, UNLABELLED)


def check_labels(method: Method, labels: Tensor) -> None:
    """Raises ConfigError when this method cannot sample one of the labels."""
    if not method.conditional:
        if (labels != UNLABELLED).any():
            raise ConfigError("this method cannot be asked for a class: it was not trained with labels")
    elif ((labels < 0) | (labels >= method.shape.classes)).any():
        bad = labels[(labels < 0) | (labels >= method.shape.classes)][0]
        last = method.shape.classes - 1
        raise ConfigError(f"label {int(bad)} is out of range: this model knows 0 to {last}")


def blocks(method: Method, seed: int, count: int, labels: Tensor | None = None,
           temperature: float = 1.0) -> Iterator[Tensor]:
    """Yield `count` samples as uint8 (b, C, H, W) on the CPU, block by block.

    method: in eval mode; its device computes. labels: int64 (count,), default `default_labels`.
    temperature: of the latents, see Method.latents.
    """
    labels = default_labels(method, count) if labels is None else labels
    check_labels(method, labels)
    for start in range(0, count, BLOCK):
        yield one_block(method, seed, start // BLOCK, labels[start:start + BLOCK], temperature)


@torch.inference_mode()
def one_block(method: Method, seed: int, number: int, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """The first len(labels) samples of one block: uint8 (len(labels), C, H, W) on the CPU.

    Each sample depends on its own label only.
    """
    device = next(method.parameters()).device
    padded = torch.cat([labels, labels[-1:].expand(BLOCK - len(labels))]).to(device)
    with method.autocast():
        images = method.sample(padded, generator(seed, Purpose.SAMPLE, number, device), temperature)
    return as_bytes(images)[:len(labels)].cpu()


@torch.inference_mode()
def interpolations(method: Method, seed: int, rows: int, columns: int) -> Tensor:
    """`rows` interpolations between two latents in `columns` images each: uint8 (rows * columns, C, H, W).

    A conditional method keeps one class per row.
    """
    device = next(method.parameters()).device
    rng = generator(seed, Purpose.INTERPOLATE, 0, device)
    start, end = (method.latents(rows, rng).repeat_interleave(columns, 0) for _ in range(2))
    share = torch.linspace(0, 1, columns, device=device).repeat(rows)
    labels = default_labels(method, rows).repeat_interleave(columns).to(device)
    with method.autocast():
        return as_bytes(method.decode_between(start, end, share, labels)).cpu()


@torch.inference_mode()
def reconstructions(method: Method, images: Tensor) -> Tensor:
    """Images through encoder and decoder: uint8 (N, C, H, W) on the CPU -> the same."""
    device = next(method.parameters()).device
    with method.autocast():
        return as_bytes(method.reconstruct(as_model_space(images.to(device)))).cpu()


def pace(method: Method, count: int = BLOCK) -> float:
    """Samples per second, over `count` samples after one block to warm up.

    It varies with the machine and its load, so it is for MLflow only.
    """
    for _ in blocks(method, 0, BLOCK):
        pass
    start = time.monotonic()
    for _ in blocks(method, 0, count):
        pass
    return count / (time.monotonic() - start)
