"""Changes of a picture that a gradient passes through (Zhao et al. 2020, DiffAugment): float (B, C, H, W) in [-1, 1].

Each draws its own strength for every picture from `rng`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def translate(images: Tensor, reach: int, rng: torch.Generator, repeat_edge: bool = False) -> Tensor:
    """Shift each picture by up to `reach` pixels along both axes. New pixels are -1, or those of the edge again."""
    count, _, height, width = images.shape
    shift = torch.randint(0, 2 * reach + 1, (2, count, 1), generator=rng, device=rng.device)
    rows = torch.arange(height, device=rng.device) + shift[0]
    columns = torch.arange(width, device=rng.device) + shift[1]
    padded = F.pad(images, [reach] * 4, mode="replicate") if repeat_edge else F.pad(images, [reach] * 4, value=-1)
    padded = padded.permute(0, 2, 3, 1)
    which = torch.arange(count, device=rng.device)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout(images: Tensor, side: int, rng: torch.Generator) -> Tensor:
    """Set to -1 one square of `side` pixels in each picture; its middle lies anywhere in the picture."""
    count, _, height, width = images.shape
    inside = []
    for length in (height, width):
        middle = torch.randint(0, length, (count, 1), generator=rng, device=rng.device)
        offset = torch.arange(length, device=rng.device) - middle + side // 2
        inside.append((offset >= 0) & (offset < side))
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return torch.where(hole, -1.0, images)


def brighten(images: Tensor, reach: float, rng: torch.Generator) -> Tensor:
    """Add one value from [-reach, reach] to all pixels of a picture."""
    return images + reach * (2 * torch.rand(len(images), 1, 1, 1, generator=rng, device=rng.device) - 1)


def crop(images: Tensor, least: float, rng: torch.Generator) -> Tensor:
    """Cut a square from each picture, its side a share from [least, 1] of the picture's, and resize it back, bilinearly."""
    side, *corner = torch.rand(3, len(images), generator=rng, device=rng.device)
    side = least + (1 - least) * side
    middle = [(2 * place - 1) * (1 - side) for place in corner]
    maps = torch.stack([torch.stack([side, torch.zeros_like(side), middle[0]], 1),
                        torch.stack([torch.zeros_like(side), side, middle[1]], 1)], 1)
    where = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, where, padding_mode="border", align_corners=False)


def mirror(images: Tensor, rng: torch.Generator) -> Tensor:
    """Swap left and right in every other picture, on average."""
    swap = torch.rand(len(images), 1, 1, 1, generator=rng, device=rng.device) < 0.5
    return torch.where(swap, images.flip(3), images)
