"""What a method is: named players, updates that yield (player, loss), and a sampler. The training loop knows no more.

Model space is float32 in [-1, 1], NCHW. What a method can do beyond this contract is a capability that it declares
(see Method); whoever needs it asks for the capability, never for a class.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

if TYPE_CHECKING:
    from aigc.data.pictures import Pictures

from aigc.core.config import FEWEST_CLASSES, Count, Positive, Section, Share

LearningRate = Annotated[float, Field(gt=0, le=1)]
NEARLY_PARALLEL = 1e-4  # sine of the angle below which the straight line is taken: there is no arc, or none that is the shortest


class MethodConfig(Section):
    """What the loop needs to know of every method; a method's own config adds to it."""

    images: Count
    batch_size: Count
    ema_halflife: Positive
    warmup: Share
    decay: Share


@dataclass(frozen=True)
class Shape:
    """The pictures that a model is built for: square, `size` pixels a side, `classes` labels (0 = unlabelled)."""

    channels: int
    size: int
    classes: int

    @classmethod
    def of(cls, pictures: "Pictures") -> "Shape":
        """The shape of a set of pictures."""
        _, channels, size, _ = pictures.images.shape
        return cls(channels, size, len(pictures.classes))

    @property
    def image(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return self.channels, self.size, self.size

    @property
    def has_classes(self) -> bool:
        return self.classes >= FEWEST_CLASSES


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
    """A generative method with its networks: latents of a distribution that is easy to sample, decoded to pictures.

    Capabilities, each declared by the method that has it:
    conditional: the labels steer what is generated. needs_classes: it cannot be trained without labels.
    reconstructs: `reconstruct` gives a picture back through its latent. interpolates: `between` two latents lie others.

    latent_shape: the shape of one latent; the method sets it.
    """

    conditional = False
    needs_classes = False
    reconstructs = False
    interpolates = True
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

    def reconstruct(self, images: Tensor) -> Tensor:
        """Pictures through encoder and decoder, without noise: float32 (B, C, H, W) -> the same, in [-1, 1].

        Only of methods that declare `reconstructs`.
        """
        raise TypeError(f"{type(self).__name__} does not reconstruct pictures")

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
