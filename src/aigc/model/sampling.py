"""Samples in blocks of a fixed size, so that the bytes of sample i do not depend on the number of samples.

Block b draws from (seed, b) alone. The last block is computed in full and then cut. A new BLOCK changes
every sample. A method that translates gets a source picture for each sample instead of a draw.
"""

import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from aigc.core.config import Count, Positive, Section, Seed
from aigc.core.errors import ConfigError
from aigc.core.randomness import Purpose, generator
from aigc.model.contract import Method
from aigc.networks.blocks import as_bytes, as_model_space

BLOCK = 128
UNLABELLED = -1
Part = tuple[int, np.ndarray, np.ndarray | None]  # number of a block, labels (b,), sources (b, C, H, W)


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


def check_sources(method: Method, sources: np.ndarray | None, count: int) -> None:
    """Raises ConfigError when a method that translates lacks sources, or another one is given any."""
    if method.translates and (sources is None or len(sources) != count):
        raise ConfigError(f"this method translates pictures: {count} source pictures are needed, "
                          f"{'none' if sources is None else len(sources)} given")
    if not method.translates and sources is not None:
        raise ConfigError("this method takes no source pictures: it does not translate")


def source_rows(labels: np.ndarray) -> np.ndarray:
    """For each sample of a method that translates, the row of its source: int64 (m,).

    labels: of the pictures that may be sources, 0 or 1, (n,). Sample i has class i mod 2 (see
    `default_labels`) and the source i // 2 of the other class. m is even, and no source comes twice.
    """
    first, second = (np.flatnonzero(labels == label) for label in (1, 0))
    pairs = min(len(first), len(second))
    return np.stack([first[:pairs], second[:pairs]], axis=1).ravel()


def blocks(method: Method, seed: int, count: int, labels: Tensor | None = None, temperature: float = 1.0,
           sources: np.ndarray | None = None) -> Iterator[Tensor]:
    """Yield `count` samples as uint8 (b, C, H, W) on the CPU, block by block.

    method: in eval mode; its device computes. labels: int64 (count,), default `default_labels`.
    temperature: of the latents, see Method.latents. sources: of a method that translates, uint8 (count, C, H,
    W).
    """
    for part in parts(method, count, labels, sources):
        yield draw(method, seed, temperature, part)


def parts(method: Method, count: int, labels: Tensor | None = None,
          sources: np.ndarray | None = None) -> Iterator[Part]:
    """What is asked of each block. The arguments are those of `blocks`, which raises the same errors."""
    labels = default_labels(method, count) if labels is None else labels
    check_labels(method, labels)
    check_sources(method, sources, count)
    for start in range(0, count, BLOCK):
        rows = slice(start, start + BLOCK)
        yield start // BLOCK, labels[rows].numpy(), None if sources is None else np.array(sources[rows])


def draw(method: Method, seed: int, temperature: float, part: Part) -> Tensor:
    """One block of `blocks`."""
    number, labels, sources = part
    return one_block(method, seed, number, torch.from_numpy(labels), temperature,
                     None if sources is None else torch.from_numpy(sources))


@torch.inference_mode()
def one_block(method: Method, seed: int, number: int, labels: Tensor, temperature: float = 1.0,
              sources: Tensor | None = None) -> Tensor:
    """The first len(labels) samples of one block: uint8 (len(labels), C, H, W) on the CPU.

    Each sample depends on its own label, and its own source, only. sources: uint8 (len(labels), C, H, W).
    """
    device = next(method.parameters()).device
    padded = _filled(labels).to(device)
    with method.autocast():
        if sources is None:
            images = method.sample(padded, generator(seed, Purpose.SAMPLE, number, device), temperature)
        else:
            images = method.decode(as_model_space(_filled(sources).to(device)), padded)
    return as_bytes(images)[:len(labels)].cpu()


def whole_block(method: Method, seed: int, number: int, label: int | None = None) -> Tensor:
    """All samples of one block, of one label, or by default each of its usual one: uint8 (BLOCK, C, H, W)."""
    labels = default_labels(method, BLOCK, number * BLOCK)
    return one_block(method, seed, number, labels if label is None else torch.full_like(labels, label))


def _filled(rows: Tensor) -> Tensor:
    """A whole block: the last of the rows (n, ...) is repeated."""
    return torch.cat([rows, rows[-1:].expand(BLOCK - len(rows), *rows.shape[1:])])


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


@torch.inference_mode()
def there_and_back(method: Method, sources: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Sources uint8 (N, C, H, W), each translated to the class of its label (N,), and that back again.

    The labels are 0 or 1. Each result is uint8 (N, C, H, W) on the CPU.
    """
    device = next(method.parameters()).device
    labels = labels.to(device)
    with method.autocast():
        there = method.decode(as_model_space(sources.to(device)), labels)
        back = method.decode(there, 1 - labels)
    return as_bytes(there).cpu(), as_bytes(back).cpu()


def pace(method: Method, count: int = BLOCK) -> float:
    """Samples per second, over `count` samples after one block to warm up.

    It varies with the machine and its load, so it is for MLflow only.
    """
    def draw(number: int) -> None:
        sources = np.zeros((number, *method.shape.image), np.uint8) if method.translates else None
        for _ in blocks(method, 0, number, sources=sources):
            pass

    draw(BLOCK)
    start = time.monotonic()
    draw(count)
    return count / (time.monotonic() - start)
