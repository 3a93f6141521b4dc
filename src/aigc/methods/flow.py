"""Flow matching on straight paths (Lipman et al. 2023; Liu et al. 2023): learn the velocity that carries
noise to data.

    x_t = (1 - t) x_0 + t x_1,   x_0 ~ N(0, I),  x_1 ~ data       loss = E |v(x_t, t, y) - (x_1 - x_0)|^2
    sampling: solve dx/dt = v(x, t, y) at times (k / steps)^2 by Euler, midpoint or Heun steps

With labels, training drops the class of some pictures, so that sampling can use classifier-free guidance
(Ho & Salimans 2022): v = v(none) + guidance (v(y) - v(none)). Times are logit-normal (Esser et al. 2024):
most are in the middle, where the velocity is hardest to predict. The last of Heun's steps is Euler's
(Karras et al. 2022).
"""

from collections.abc import Iterator
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from aigc.core import paths
from aigc.core.config import Count, Positive, Share
from aigc.core.errors import ConfigError
from aigc.model.contract import LearningRate, Method, MethodConfig, Player, Shape
from aigc.model.exports import Call, Exports, Network
from aigc.networks.unet import GROUPS, UNet

MOST_STEPS = 1000  # more change no pixel
PATCHES = 16  # per side, at least, where the method chooses the patch


class FlowMatchingConfig(MethodConfig):
    learning_rate: LearningRate
    width: Annotated[int, Field(gt=0, multiple_of=GROUPS)]
    levels: Annotated[list[Count], Field(min_length=1)]
    depth: Count
    attention: list[Count]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    patch: Count | Literal["auto"]
    label_dropout: Share
    guidance: Positive
    steps: Annotated[int, Field(gt=0, le=MOST_STEPS)]
    solver: Literal["euler", "midpoint", "heun"]

    @model_validator(mode="after")
    def _guidance_needs_dropout(self) -> "FlowMatchingConfig":
        if self.guidance != 1 and self.label_dropout == 0:
            raise ValueError("guidance other than 1 needs label_dropout above 0: the velocity without a "
                             "class must be learned too")
        return self


class FlowMatching(Method):
    config: FlowMatchingConfig
    conditional = True  # where the pictures have classes
    sampling_settings = ("steps", "guidance", "solver")
    draft_settings = MappingProxyType({"steps": 4, "solver": "euler", "guidance": 1.0})

    def __init__(self, config: FlowMatchingConfig, shape: Shape) -> None:
        super().__init__(shape)
        self.config = config
        self.conditional = shape.has_classes
        self.latent_shape = shape.image
        patch, sides = grid(config, shape.size)
        self.velocity = UNet(shape.channels, shape.classes if self.conditional else 0, config.width, patch,
                             sides, config.levels, config.depth, config.attention, config.dropout)

    def players(self) -> dict[str, Player]:
        parameters = list(self.velocity.parameters())
        return {"velocity": Player(parameters, self.config.learning_rate, betas=(0.9, 0.99))}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        x_1, x_0 = real, torch.randn(real.shape, generator=rng, device=rng.device)
        t = torch.randn(len(real), generator=rng, device=rng.device).sigmoid()
        x_t = torch.lerp(x_0, x_1, t[:, None, None, None])
        dropped = torch.rand(len(real), generator=rng, device=rng.device) < self.config.label_dropout
        labels = torch.where(dropped | (labels < 0), self.shape.classes, labels)
        yield "velocity", (self.velocity(x_t, t, labels, rng) - (x_1 - x_0)).square().mean()

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """matching_loss: the training loss per image, without dropout and label dropout."""
        x_1, x_0 = real, torch.randn(real.shape, generator=rng, device=rng.device)
        t = torch.randn(len(real), generator=rng, device=rng.device).sigmoid()
        labels = torch.where(labels < 0, self.shape.classes, labels)
        v = self.velocity(torch.lerp(x_0, x_1, t[:, None, None, None]), t, labels)
        return {"matching_loss": (v - (x_1 - x_0)).square().mean((1, 2, 3))}

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        x = latents
        even = [step / self.config.steps for step in range(self.config.steps + 1)]
        for t, t_next in pairwise(u * u for u in even):  # small steps near the noise: they decide the picture
            x = self.step(x, t, t_next, labels)
        return x.clamp(-1, 1)

    def step(self, x: Tensor, t: float | Tensor, t_next: float | Tensor, labels: Tensor) -> Tensor:
        """One step of the solver, from time t to t_next. Times are tensors of no dimension in an export."""
        dt, v = t_next - t, self.guided_velocity(x, t, labels)
        if self.config.solver == "midpoint":
            v = self.guided_velocity(x + dt / 2 * v, t + dt / 2, labels)
        elif self.config.solver == "heun" and (isinstance(t_next, Tensor) or t_next < 1):
            mean = (v + self.guided_velocity(x + dt * v, t_next, labels)) / 2
            v = torch.where(t_next < 1, mean, v) if isinstance(t_next, Tensor) else mean
        return x + dt * v

    def exports(self) -> Exports:
        """One step of the solver, with guidance; the caller repeats it."""
        times = {"t": torch.tensor(0.25), "t_next": torch.tensor(0.5)}
        inputs = {"x": torch.randn(2, *self.latent_shape), **times, **self.example_labels()}
        return Exports({"step": Network(Call(self, self.step_rows), inputs, "x_next")}, (
            f"times = np.linspace(0, 1, {self.config.steps + 1}, dtype=np.float32) ** 2\n"
            f"images = rng.standard_normal((count, {', '.join(map(str, self.latent_shape))}), np.float32)\n"
            "for t, t_next in zip(times, times[1:]):\n"
            "    images = run('step', x=images, t=t, t_next=t_next, labels=labels)\n"))

    def step_rows(self, x: Tensor, t: Tensor, t_next: Tensor, labels: Tensor | None = None) -> Tensor:
        """As `step`; an unconditional model needs no labels."""
        none = torch.full((x.shape[0],), -1, dtype=torch.int64) if labels is None else labels
        return self.step(x, t, t_next, none)

    def guided_velocity(self, x: Tensor, t: float | Tensor, labels: Tensor) -> Tensor:
        """The velocity at time t, with classifier-free guidance where there are classes."""
        time = t.expand(x.shape[0]) if isinstance(t, Tensor) else torch.full((len(x),), t, device=x.device)
        if not self.conditional or self.config.guidance == 1:
            velocity: Tensor = self.velocity(x, time, labels)
            return velocity
        both = torch.cat([labels, torch.full_like(labels, self.shape.classes)])
        with_class, without_class = self.velocity(x.repeat(2, 1, 1, 1), time.repeat(2), both).chunk(2)
        return torch.lerp(without_class, with_class, self.config.guidance)


def patch_side(size: int) -> int:
    """The pixels a side of a patch: the largest power of two that leaves 16 patches or more, at least 2."""
    patch = 2
    while size % (2 * patch) == 0 and size // (2 * patch) >= PATCHES:
        patch *= 2
    return patch


def grid(config: FlowMatchingConfig, size: int) -> tuple[int, list[int]]:
    """(pixels a side of a patch, patches a side of each level). Raises ConfigError where none can be."""
    patch = patch_side(size) if config.patch == "auto" else config.patch
    if size % patch:
        raise ConfigError(f"{paths.PARAMS}: `flow.patch` ({patch}) must divide the pictures' side of {size} "
                          "pixels")
    sides = [size // patch // 2**level for level in range(len(config.levels))]
    if not sides[-1]:
        raise ConfigError(f"{paths.PARAMS}: `flow.levels` has {len(sides)} levels; {sides[0]} patches a side "
                          f"can be halved for {sum(side > 0 for side in sides)} only")
    if strange := [side for side in config.attention if side not in sides]:
        raise ConfigError(f"{paths.PARAMS}: `flow.attention`: no level has a side of {strange[0]} patches; "
                          f"the levels have {', '.join(map(str, sides))}")
    return patch, sides
