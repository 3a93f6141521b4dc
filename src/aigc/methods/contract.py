"""What a method is: named players, updates that yield (player, loss), and a sampler. The loop knows no more.

Model space is float32 in [-1, 1], NCHW. Adding a method means adding one file beside this one that holds
`Config` (a MethodConfig) and `Build` (a Method), and naming it under `methods:` in params.yaml.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from aigc.core import config, paths
from aigc.core.errors import ConfigError

NOT_METHODS = {"contract"}
NEARLY_PARALLEL = 1e-4  # sine of the angle below which the straight line is taken: there is no arc, or none that is the shortest


class MethodConfig(config.Section):
    """What the loop needs to know of every method; a method's own config adds to it."""

    images: config.Count
    batch_size: config.Count
    ema_halflife: config.Positive
    warmup: config.Share
    decay: config.Share


@dataclass(frozen=True)
class Shape:
    """The pictures that a model is built for: square, `size` pixels a side, `classes` labels (0 = unlabelled)."""

    channels: int
    size: int
    classes: int

    @property
    def image(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return self.channels, self.size, self.size

    @property
    def has_classes(self) -> bool:
        return self.classes >= config.FEWEST_CLASSES


@dataclass(frozen=True)
class Player:
    """A named group of parameters that one Adam optimizer moves."""

    parameters: list[nn.Parameter]
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)


class Trainable(nn.Module, ABC):
    """What the loop can train.

    reals_per_update: how many batches of fresh real pictures one call of `updates` is given, stacked.
    progress: share of the run that is done, in [0, 1); the loop sets it before it calls `updates`.
    """

    reals_per_update = 1
    progress = 0.0

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    @abstractmethod
    def players(self) -> dict[str, Player]:
        """The optimizers' view of the parameters."""

    @abstractmethod
    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        """Yield (player, scalar loss); the loop steps that player's optimizer before it resumes the method.

        real: float32 (B * reals_per_update, C, H, W) in [-1, 1]. labels: int64 (B * reals_per_update,), -1 = none.
        rng: the only source of randomness; equal rng, equal losses.
        """


class Method(Trainable):
    """A generative method, its networks included: latents of a law that is easy to sample, decoded to pictures.

    conditional: whether the labels steer what is made. needs_classes: whether it cannot do without. latent_shape: of one
    latent, set by the method.
    """

    conditional = False
    needs_classes = False
    latent_shape: tuple[int, ...]

    def conclude(self, batches: Iterable[Tensor], seed: int) -> None:
        """What is fitted once, after training, under the averaged weights: batches of all training pictures. Default: nothing."""

    def latents(self, count: int, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """z ~ N(0, temperature^2 I): float32 (count, *latent_shape). Below 1: likelier pictures that differ less."""
        return temperature * torch.randn(count, *self.latent_shape, generator=rng, device=rng.device)

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """What this family is judged by beside its samples: measure -> one value a picture, float32 or bool (B,). Default: nothing.

        real, labels, rng: as `updates` gets them, from pictures that it never saw; the model is in eval mode.
        """
        return {}

    @abstractmethod
    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """The picture of each latent: float32 (B, C, H, W) in [-1, 1]. Unconditional methods ignore the labels."""

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """Latents on the way from `start` to `end`, both (B, *latent_shape), at `share` (B,) in [0, 1] of it.

        Spherical, since Gaussian latents lie near a sphere and the straight line leaves it (White 2016).
        """
        return slerp(start, end, share)

    def sample(self, labels: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """New pictures, one a label: float32 (len(labels), C, H, W) in [-1, 1]."""
        return self.decode(self.latents(len(labels), rng, temperature), labels)


def slerp(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Spherical linear interpolation (Shoemake 1985) of each pair of (B, ...) at `share` (B,)."""
    a, b = start.flatten(1), end.flatten(1)
    angle = torch.arccos(F.cosine_similarity(a, b).clamp(-1, 1))[:, None]
    share = share[:, None].to(a)
    on_sphere = (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin()
    return torch.where(angle.sin() > NEARLY_PARALLEL, on_sphere, torch.lerp(a, b, share)).view_as(start)


def available() -> list[str]:
    """Names of the methods that have a page in this folder."""
    return sorted(page.name for page in pkgutil.iter_modules([_folder_of_pages()])
                  if not page.ispkg and page.name not in NOT_METHODS)


def _folder_of_pages() -> str:
    return str(importlib.import_module("aigc.methods").__path__[0])


def page(name: str) -> ModuleType:
    """The page of one method. Raises ConfigError when there is none of that name."""
    if name not in available():
        raise ConfigError(f"{paths.PARAMS}: unknown method `{name}` under `methods`"
                          f"{config.did_you_mean(name, available())}")
    return importlib.import_module(f"aigc.methods.{name}")


def load_config(name: str, content: dict[str, Any] | None = None) -> MethodConfig:
    """The section of params.yaml that bears the method's name, as that method's own config class."""
    chosen: MethodConfig = config.section(name, page(name).Config, content)
    return chosen


def build(name: str, chosen: MethodConfig, shape: Shape) -> Method:
    """A new, untrained model of the method. Initial weights come from torch's default generator: seed it first.

    Raises ConfigError when the method needs classes and there are none.
    """
    if not shape.has_classes and needing_classes([name]):
        raise ConfigError(f"{name} needs labels of at least two classes; take it out of `methods` in {paths.PARAMS}")
    built: Method = page(name).Build(chosen, shape)
    return built


def needing_classes(names: Iterable[str]) -> list[str]:
    """Those of the methods that cannot learn from pictures without classes."""
    return [name for name in names if page(name).Build.needs_classes]


LearningRate = Annotated[float, Field(gt=0, le=1)]
