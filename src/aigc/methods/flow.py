"""Flow matching on straight paths (Lipman et al. 2023; Liu et al. 2023): learn the velocity that carries
noise to data.

    x_t = (1 - t) x_0 + t x_1,   x_0 ~ N(0, I),  x_1 ~ data       loss = E |v(x_t, t, y) - (x_1 - x_0)|^2
    sampling: solve dx/dt = v(x, t, y) at times (k / steps)^2 by Euler or Heun steps, the last one by Euler

With labels, training drops the class of some pictures, so that sampling can use classifier-free guidance
(Ho & Salimans 2022): v = v(none) + guidance (v(y) - v(none)). Times are logit-normal (Esser et al. 2024):
most are in the middle, where the velocity is hardest to predict. Heun's steps with Euler's at the end:
Karras et al. 2022.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from aigc.core.config import Count, Positive, Share
from aigc.model.contract import LearningRate, Method, MethodConfig, Player, Shape
from aigc.networks.blocks import Linear

GROUPS = 8  # of channels, for group normalisation
LARGEST_SIDE = 16  # patches per side; larger pictures get larger patches


class FlowMatchingConfig(MethodConfig):
    learning_rate: LearningRate
    width: Annotated[int, Field(gt=0, multiple_of=GROUPS)]
    label_dropout: Share
    guidance: Positive
    steps: Count
    solver: Literal["euler", "heun"]

    @model_validator(mode="after")
    def _guidance_needs_dropout(self) -> "FlowMatchingConfig":
        if self.guidance != 1 and self.label_dropout == 0:
            raise ValueError("guidance other than 1 needs label_dropout above 0: the velocity without a "
                             "class must be learned too")
        return self


class FlowMatching(Method):
    conditional = True  # where the pictures have classes

    def __init__(self, config: FlowMatchingConfig, shape: Shape) -> None:
        super().__init__(shape)
        self.config = config
        self.conditional = shape.has_classes
        self.latent_shape = shape.image
        classes = shape.classes if self.conditional else 0
        self.velocity = UNet(shape.channels, shape.size, config.width, classes)

    def players(self) -> dict[str, Player]:
        parameters = list(self.velocity.parameters())
        return {"velocity": Player(parameters, self.config.learning_rate, betas=(0.9, 0.99))}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        x_1, x_0 = real, torch.randn(real.shape, generator=rng, device=rng.device)
        t = torch.randn(len(real), generator=rng, device=rng.device).sigmoid()
        x_t = torch.lerp(x_0, x_1, t[:, None, None, None])
        dropped = torch.rand(len(real), generator=rng, device=rng.device) < self.config.label_dropout
        labels = torch.where(dropped | (labels < 0), self.shape.classes, labels)
        yield "velocity", (self.velocity(x_t, t, labels) - (x_1 - x_0)).square().mean()

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """matching_loss: the training loss per image, without label dropout."""
        x_1, x_0 = real, torch.randn(real.shape, generator=rng, device=rng.device)
        t = torch.randn(len(real), generator=rng, device=rng.device).sigmoid()
        labels = torch.where(labels < 0, self.shape.classes, labels)
        v = self.velocity(torch.lerp(x_0, x_1, t[:, None, None, None]), t, labels)
        return {"matching_loss": (v - (x_1 - x_0)).square().mean((1, 2, 3))}

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        x = latents
        even = [step / self.config.steps for step in range(self.config.steps + 1)]
        for t, t_next in pairwise(u * u for u in even):  # small steps near the noise: they decide the picture
            dt, v = t_next - t, self.guided_velocity(x, t, labels)
            if self.config.solver == "heun" and t_next < 1:
                v = (v + self.guided_velocity(x + dt * v, t_next, labels)) / 2
            x = x + dt * v
        return x.clamp(-1, 1)

    def guided_velocity(self, x: Tensor, t: float, labels: Tensor) -> Tensor:
        """The velocity at time t, with classifier-free guidance where there are classes."""
        time = torch.full((len(x),), t, device=x.device)
        velocity: Tensor = self.velocity(x, time, labels)
        if not self.conditional or self.config.guidance == 1:
            return velocity
        without_class = self.velocity(x, time, torch.full_like(labels, self.shape.classes))
        return torch.lerp(without_class, velocity, self.config.guidance)


def time_features(t: Tensor, width: int) -> Tensor:
    """t in [0, 1], (B,) -> (B, width): sines and cosines at geometric frequencies (Vaswani et al. 2017)."""
    frequencies = torch.exp(torch.linspace(0, math.log(1000), width // 2, device=t.device))
    angles = t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Residual(nn.Module):
    """Residual block of two convolutions; the embedding sets scale and shift after the second norm."""

    def __init__(self, fan_in: int, fan_out: int, embedding: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(GROUPS, fan_in), nn.Conv2d(fan_in, fan_out, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(GROUPS, fan_out), nn.Conv2d(fan_out, fan_out, 3, padding=1)
        self.modulate = Linear(embedding, 2 * fan_out)
        self.skip = nn.Conv2d(fan_in, fan_out, 1) if fan_in != fan_out else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, fan_in, H, W), (B, embedding) -> (B, fan_out, H, W)"""
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
        hidden = self.conv1(F.silu(self.norm1(x)))
        hidden = self.conv2(F.silu(self.norm2(hidden) * (1 + scale) + shift))
        skipped: Tensor = self.skip(x)
        return skipped + hidden


class UNet(nn.Module):
    """A small U-Net on patches, with two resolutions: x (B, C, S, S), t (B,), labels (B,) -> v (B, C, S, S).

    The label `classes` means no class. A skip connection adds x to the output, times a gain that depends on
    time (as Karras 2022). Without it, where a patch has more numbers than the network has channels, part of
    the noise could not reach the output and would stay in the picture.
    """

    def __init__(self, channels: int, size: int, width: int, classes: int) -> None:
        super().__init__()
        self.patch = max(2, size // LARGEST_SIDE)
        self.width, embedding = width, 4 * width
        pixels = channels * self.patch**2
        self.time = nn.Sequential(Linear(width, embedding), nn.SiLU(), Linear(embedding, embedding))
        self.label = nn.Embedding(classes + 1, embedding) if classes else None
        self.start = nn.Conv2d(pixels, width, 3, padding=1)
        self.fine = Residual(width, width, embedding)
        self.down = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)
        self.coarse1 = Residual(2 * width, 2 * width, embedding)
        self.coarse2 = Residual(2 * width, 2 * width, embedding)
        self.up = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1)
        self.merge = Residual(2 * width, width, embedding)
        last = nn.Conv2d(width, pixels, 3, padding=1)
        self.past = Linear(embedding, pixels)
        for weights in (last.weight, self.past.weight, self.past.bias):
            nn.init.zeros_(weights)
        self.end = nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU(), last)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        embedding = self.time(time_features(t, self.width))
        if self.label is not None:
            embedding = embedding + self.label(labels)
        embedding = F.silu(embedding)
        patches = F.pixel_unshuffle(x, self.patch)
        fine = self.fine(self.start(patches), embedding)
        coarse = self.coarse2(self.coarse1(self.down(fine), embedding), embedding)
        merged = self.merge(torch.cat([fine, self.up(coarse)], dim=1), embedding)
        skipped = self.past(embedding)[:, :, None, None] * patches
        return F.pixel_shuffle(self.end(merged) + skipped, self.patch)
