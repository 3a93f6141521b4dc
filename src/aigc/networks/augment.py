"""Differentiable augmentation (Zhao et al. 2020, DiffAugment): float (B, C, H, W) in [-1, 1] -> the same.

Each function draws a strength for every image from `rng`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def translate(images: Tensor, most: int, rng: torch.Generator, repeat_edge: bool = False) -> Tensor:
    """Shift each image by up to `most` pixels along both axes. New pixels are -1, or repeat the edge."""
    count, _, height, width = images.shape
    shift = torch.randint(0, 2 * most + 1, (2, count, 1), generator=rng, device=rng.device)
    rows = torch.arange(height, device=rng.device) + shift[0]
    columns = torch.arange(width, device=rng.device) + shift[1]
    border = [most] * 4
    padded = F.pad(images, border, mode="replicate") if repeat_edge else F.pad(images, border, value=-1)
    padded = padded.permute(0, 2, 3, 1)
    image = torch.arange(count, device=rng.device)[:, None, None]
    return padded[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout(images: Tensor, side: int, rng: torch.Generator) -> Tensor:
    """Set one square of `side` pixels in each image to -1; its centre is anywhere in the image."""
    count, _, height, width = images.shape
    inside = []
    for length in (height, width):
        centre = torch.randint(0, length, (count, 1), generator=rng, device=rng.device)
        offset = torch.arange(length, device=rng.device) - centre + side // 2
        inside.append((offset >= 0) & (offset < side))
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return torch.where(hole, -1.0, images)


def brighten(images: Tensor, most: float, rng: torch.Generator) -> Tensor:
    """Add one value from [-most, most] to all pixels of an image."""
    return images + most * (2 * torch.rand(len(images), 1, 1, 1, generator=rng, device=rng.device) - 1)


def crop(images: Tensor, least: float, rng: torch.Generator) -> Tensor:
    """Cut a random square from each image, its side a share in [least, 1], and resize it back bilinearly."""
    side, *corner = torch.rand(3, len(images), generator=rng, device=rng.device)
    side = least + (1 - least) * side
    centre = [(2 * position - 1) * (1 - side) for position in corner]
    affine = torch.stack([torch.stack([side, torch.zeros_like(side), centre[0]], 1),
                          torch.stack([torch.zeros_like(side), side, centre[1]], 1)], 1)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def mirror(images: Tensor, rng: torch.Generator) -> Tensor:
    """Flip each image left to right with probability 1/2."""
    swap = torch.rand(len(images), 1, 1, 1, generator=rng, device=rng.device) < 0.5
    return torch.where(swap, images.flip(3), images)
