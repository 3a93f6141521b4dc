"""Adaptive augmentation of what a critic sees (Karras et al. 2020, ADA): each change of a picture happens
with a probability p, and p follows how far the critic overfits.

Departures from the paper: bilinear resampling at the pictures' own size, not wavelets at twice the size; one
rotation, not two; whole pixels of translation only. Outside of a picture is its mirror image.
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Augmentation = Literal["flip", "turn", "shift", "scale", "stretch", "rotate",
                       "brightness", "contrast", "luma_flip", "hue", "saturation"]
NAMES: tuple[Augmentation, ...] = get_args(Augmentation)
GEOMETRY, COLOURS = NAMES[:6], NAMES[6:]
WINDOW = 256  # pictures over which the overfitting is measured: 4 batches of 64 in the paper
# Of the paper's appendix B: the largest shift as a share of the side; standard deviations of the base-2
# logarithm of scale, stretch, contrast and saturation; that of brightness, for pictures in [-1, 1].
SHIFT, SCALE, CONTRAST, SATURATION, BRIGHTNESS = 0.125, 0.2, 0.5, 1.0, 0.2


class AdaptiveAugmentation(nn.Module):
    """p: float32 (), the probability of each change. It rises where r > target, and falls where r < target:

        r = E sign(D(x)) over the last WINDOW real pictures          (eq. 1 of the paper)

    length: the pictures in which p can rise from 0 to 1. Everything stays on the device.
    """

    p: Tensor
    signs: Tensor
    seen: Tensor
    chosen: Tensor

    def __init__(self, names: Sequence[Augmentation], target: float, length: int) -> None:
        super().__init__()
        self.target, self.length = target, length
        for name in ("p", "signs", "seen"):
            self.register_buffer(name, torch.zeros(()))
        self.register_buffer("chosen", torch.tensor([name in names for name in NAMES])[:, None],
                             persistent=False)

    @torch.no_grad()
    def observe(self, logits: Tensor) -> None:
        """Count the critic's scores of real pictures (B,); adjust p when WINDOW are counted."""
        self.signs += logits.sign().sum()
        self.seen += len(logits)
        due = self.seen >= WINDOW
        step = (self.signs / self.seen - self.target).sign() * self.seen / self.length
        self.p.copy_((self.p + due * step).clamp(0, 1))
        self.signs *= ~due
        self.seen *= ~due

    def augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """(B, C, H, H) -> the same, float32; differentiable. Each change happens with probability p."""
        drawn = self.draw(len(images), images.shape[2], rng)
        images = warp(images.float(), geometry(*(drawn[name] for name in GEOMETRY)))
        return recolour(images, *colours(images.shape[1], *(drawn[name] for name in COLOURS)))

    def draw(self, count: int, side: int, rng: torch.Generator) -> dict[str, Tensor]:
        """The strength of each change, 0 where it does not happen: float32 (count,), shift (2, count).

        flip, luma_flip: 0 or 1. turn: quarter turns. shift: pixels to the right and down. scale, stretch,
        contrast, saturation: base-2 logarithms of factors. rotate, hue: radians. brightness: added.
        """
        happens, uniform, vertical = torch.rand(3, len(NAMES), count, generator=rng, device=rng.device)
        normal = torch.randn(len(NAMES), count, generator=rng, device=rng.device)
        active = dict(zip(NAMES, (happens < self.p) & self.chosen, strict=True))
        u, n = (dict(zip(NAMES, drawn, strict=True)) for drawn in (uniform, normal))
        pixels = SHIFT * side * (2 * torch.stack([u["shift"], vertical[0]]) - 1)
        strengths = {"flip": u["flip"].round(), "turn": (4 * u["turn"]).floor(), "shift": pixels.round(),
                     "scale": SCALE * n["scale"], "stretch": SCALE * n["stretch"],
                     "rotate": math.pi * (2 * u["rotate"] - 1), "brightness": BRIGHTNESS * n["brightness"],
                     "contrast": CONTRAST * n["contrast"], "luma_flip": u["luma_flip"].round(),
                     "hue": math.pi * (2 * u["hue"] - 1), "saturation": SATURATION * n["saturation"]}
        return {name: strength * active[name] for name, strength in strengths.items()}


def geometry(flip: Tensor, turn: Tensor, shift: Tensor, scale: Tensor, stretch: Tensor,
             rotate: Tensor) -> Tensor:
    """From a place in the changed picture to that in the given one: float32 (B, 2, 3).

    Places are (x, y, 1) in pixels, right and down from the centre. In order the changes are: mirror,
    quarter turns clockwise, wider by 2^(scale + stretch) and higher by 2^(scale - stretch), turn clockwise by
    `rotate`, shift. All 0 is the identity, exactly. Strengths as of `AdaptiveAugmentation.draw`.
    """
    quarter_cos, quarter_sin = ((math.pi / 2 * turn).cos().round(), (math.pi / 2 * turn).sin().round())
    narrower, lower = torch.exp2(-scale - stretch), torch.exp2(stretch - scale)
    first = torch.stack([narrower * rotate.cos(), narrower * rotate.sin()])
    second = torch.stack([-lower * rotate.sin(), lower * rotate.cos()])
    x = (1 - 2 * flip) * (quarter_cos * first + quarter_sin * second)
    y = quarter_cos * second - quarter_sin * first
    linear = torch.stack([x, y])  # (2, 2, B)
    offset = -(linear * shift).sum(1, keepdim=True)
    return torch.cat([linear, offset], dim=1).permute(2, 0, 1)


def warp(images: Tensor, places: Tensor) -> Tensor:
    """The images (B, C, H, H) at `places` of `geometry`, bilinear between pixels, mirrored at the edges.

    Written with `gather`: torch's grid_sample has no deterministic backward pass on a GPU.
    """
    side, last = images.shape[3], images.shape[3] - 1
    grid = torch.arange(side, device=images.device) - last / 2
    source = places[:, :, :1, None] * grid + places[:, :, 1:2, None] * grid[:, None] + places[:, :, 2:, None]
    source = last - (last - (source + last / 2).remainder(2 * last)).abs()  # (B, 2, H, H) in [0, last]
    corner = source.floor().clamp(max=last - 1)
    share_x, share_y = (source - corner).unsqueeze(2).unbind(1)
    index = (corner[:, 1] * side + corner[:, 0]).long().flatten(1)
    corners = torch.cat([index, index + 1, index + side, index + side + 1], dim=1)
    values = images.flatten(2).gather(2, corners[:, None].expand(-1, images.shape[1], -1))
    a, b, c, d = values.unflatten(2, (4, side, side)).unbind(2)
    return torch.lerp(torch.lerp(a, b, share_x), torch.lerp(c, d, share_x), share_y)


def colours(channels: int, brightness: Tensor, contrast: Tensor, luma_flip: Tensor, hue: Tensor,
            saturation: Tensor) -> tuple[Tensor, Tensor]:
    """(matrix (B, C, C), offset (B, C, 1, 1)) of the change of a pixel's channels. All 0 is the identity.

    In order: brightness, contrast, luma flip, hue (of three channels), saturation. Grey is the axis with all
    channels equal: a luma flip mirrors along it, hue turns around it, saturation scales what is across it.
    """
    def of(strength: Tensor) -> Tensor:
        return strength[:, None, None]

    one = torch.eye(channels, device=hue.device)
    grey = torch.full_like(one, 1 / channels)
    matrix = one * of(torch.exp2(contrast))
    matrix = product(one - 2 * of(luma_flip) * grey, matrix)
    if channels == 3:
        around = (one.roll(1, 0) - one.roll(-1, 0)) / math.sqrt(3)  # the cross product with the grey axis
        matrix = product(one + (1 - of(hue.cos())) * (grey - one) + of(hue.sin()) * around, matrix)
    matrix = product(one + (torch.exp2(of(saturation)) - 1) * (one - grey), matrix)
    return matrix, (matrix.sum(2) * brightness[:, None])[:, :, None, None]


def product(left: Tensor, right: Tensor) -> Tensor:
    """Of small matrices (B, n, n), always in float32: autocast would round them."""
    return (left[:, :, :, None] * right[:, None]).sum(2)


def recolour(images: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """`matrix` times the channels of each pixel, plus `offset`: (B, C, H, W) -> the same."""
    return (matrix[:, :, :, None, None] * images[:, None]).sum(2) + offset
