"""Interpolations and reconstructions for people, in bytes that a file's texts state completely.

The ends of an interpolation are pictures that are made alone too: samples, or reconstructions. Not for the
pipeline's own rows of latents: see model/sampling.py.
"""

import numpy as np
import torch
from torch import Tensor

from aigc.core.randomness import Purpose, generator
from aigc.model import sampling
from aigc.model.contract import Method
from aigc.model.sampling import BLOCK
from aigc.networks.blocks import as_bytes, as_model_space


@torch.inference_mode()
def between_samples(method: Method, start: int, end: int, count: int, label: int) -> Tensor:
    """`count` pictures from the first sample of seed `start` to that of seed `end`: uint8 (count, C, H, W).

    method: in eval mode, with the capability `interpolates`. count: 2 or more. label: of all of them, -1 of a
    method that is not conditional. The ends are the bytes of these samples.
    """
    wanted = torch.tensor([label])
    device = next(method.parameters()).device
    ends = [sampling.one_block(method, seed, 0, wanted) for seed in (start, end)]
    with method.autocast():  # as `sampling.one_block` draws them
        first, last = (method.latents(BLOCK, generator(seed, Purpose.SAMPLE, 0, device))[:1]
                       for seed in (start, end))
    return torch.cat([ends[0], *_way(method, first, last, count, label), ends[1]])


@torch.inference_mode()
def between_pictures(method: Method, images: np.ndarray, count: int, label: int) -> Tensor:
    """`count` pictures between two, uint8 (2, C, H, W), as the method encodes them: uint8 (count, C, H, W).

    method: in eval mode, with the capabilities `encodes`, `reconstructs` and `interpolates`. label: as of
    `between_samples`. The ends are the bytes of the reconstructions.
    """
    ends = reconstructions(method, images)
    device = next(method.parameters()).device
    with method.autocast():
        start, end = method.codes(as_model_space(torch.from_numpy(images).to(device))).split(1)
    return torch.cat([ends[:1], *_way(method, start, end, count, label), ends[1:]])


def _way(method: Method, start: Tensor, end: Tensor, count: int, label: int) -> list[Tensor]:
    """What lies between two latents (1, *latent_shape): count - 2 pictures, in parts."""
    made = []
    shares = torch.linspace(0, 1, count, device=start.device)[1:-1]
    for share in shares.split(BLOCK) if len(shares) else ():
        first, last = (latent.expand(len(share), *latent.shape[1:]) for latent in (start, end))
        labels = torch.full_like(share, label, dtype=torch.int64)
        with method.autocast():
            images = method.decode_between(first, last, share, labels)
        made.append(as_bytes(images).cpu())
    return made


def reconstructions(method: Method, images: np.ndarray) -> Tensor:
    """Images through encoder and decoder, in whole blocks: uint8 (N, C, H, W) -> the same.

    method: in eval mode, with the capability `reconstructs`. Picture i depends on image i and on i only.
    """
    made = []
    for part in torch.from_numpy(images).split(BLOCK):
        filled = torch.cat([part, part[-1:].expand(BLOCK - len(part), *part.shape[1:])])
        made.append(sampling.reconstructions(method, filled)[:len(part)])
    return torch.cat(made)
