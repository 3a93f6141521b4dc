"""The interface of a method: named players, updates that yield (player, loss), and a sampler.

The training loop uses nothing else. Images are float32 in [-1, 1], NCHW. What a method can do beyond this
interface it declares as a capability (see Method). Callers test for the capability, never for a class.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

if TYPE_CHECKING:
    from aigc.data.pictures import Pictures

from aigc.core import randomness
from aigc.core.config import FEWEST_CLASSES, Count, Positive, Section, Share
from aigc.core.runtime import Device
from aigc.model.exports import NORMAL, Call, Exports, Network

LearningRate = Annotated[float, Field(gt=0, le=1)]
NEARLY_PARALLEL = 1e-4  # sine of an angle; below it slerp divides by almost 0, so a straight line is used


class MethodConfig(Section):
    """The settings that the training loop reads. A method's own config adds to them.

    init_from: the trained model whose weights a training starts from, as the folder's name below
    models/parents; "" = none. No setting of the method: it is in no model's config (see training/parent.py).
    """

    init_from: Annotated[str, Field(exclude=True, pattern="^([0-9a-f]{16})?$")] = ""
    images: Count
    batch_size: Count
    ema_halflife: Positive
    warmup: Share
    decay: Share

    @property
    def learns_from(self) -> list[str] | None:
        """The names of the only classes whose pictures the method sees, equally often; None = all pictures.

        Label i of such a method is the i-th of these classes.
        """
        return None


@dataclass(frozen=True)
class Shape:
    """The images that a model is built for: `size` x `size` pixels, `classes` labels (0 = unlabelled)."""

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
    """A group of parameters with one Adam optimizer.

    share: the part of the run in which it learns, such as (0.0, 0.5) = the first half. Outside it the method
    yields no loss of this player. The learning rate warms up and decays within it.
    """

    parameters: list[nn.Parameter]
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    share: tuple[float, float] = (0.0, 1.0)


class Trainable(nn.Module, ABC):
    """What the loop can train.

    batches_per_update: how many batches of real images `updates` receives in one call, concatenated.
    progress: the share of the run that is done, in [0, 1); the loop sets it before it calls `updates`.
    autocast: the context of a forward pass on the model's device. The loop enters it for `updates`.
    shared_seed: of the draws of `on_host`, where the loop sets it; None = they come from `rng`.
    """

    batches_per_update = 1
    progress = 0.0
    shared_seed: int | None = None
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def place_on(self, device: Device) -> Self:
        """Move to `device`, in its memory layout and with its autocast."""
        self.to(device.torch_device)
        self.to(memory_format=torch.channels_last if device.channels_last else torch.contiguous_format)
        self.autocast = device.autocast
        return self

    def on_host(self, rng: torch.Generator) -> torch.Generator:
        """A CPU generator for draws that Python reads, so that they can decide what `updates` computes.

        A batch in several shards gives all of them the same draws here, and each its own from `rng`.
        """
        if self.shared_seed is None:
            return randomness.on_host(rng)
        return torch.Generator().manual_seed(self.shared_seed)

    @abstractmethod
    def players(self) -> dict[str, Player]:
        """The parameters by player: one optimizer each."""

    @abstractmethod
    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        """Yield (player, scalar loss); the loop steps that player's optimizer before it resumes the method.

        real: float32 (B * batches_per_update, C, H, W) in [-1, 1]. labels: int64 (B * batches_per_update,),
        -1 = none. rng: the only source of randomness: the same rng gives the same losses.
        """


class Method(Trainable):
    """A generative method with its networks: latents from a simple distribution are decoded to images.

    Capabilities, declared by the methods that have them:
    conditional: the labels decide the class of the samples. needs_classes: training needs labels.
    reconstructs: it implements `reconstruct`. interpolates: it implements `interpolate`.
    encodes: it implements `codes`, so that it can interpolate between given pictures.
    translates: its latents are source pictures, float32 (C, H, W) in [-1, 1], which the caller gives; a label
    is the class to translate to. It draws no latents and does not interpolate between them.

    sampling_settings: the names of those of its settings that can be chosen anew for each sampling.

    draft_settings: values of some of these for a quick sampling whose FID is about the same.

    binding_settings: the names of those of its settings to which the weights of a trained model are bound,
    beside those that change the shapes of the weights. made_anew: what `fit_after_training`, or a training
    from its start on, makes anew: names of modules and buffers that no parent hands down.

    latent_shape: the shape of one latent; the method sets it.
    """

    conditional = False
    needs_classes = False
    reconstructs = False
    interpolates = True
    encodes = False
    translates = False
    sampling_settings: tuple[str, ...] = ()
    draft_settings: Mapping[str, Any] = {}
    binding_settings: tuple[str, ...] = ()
    made_anew: tuple[str, ...] = ()
    config: MethodConfig
    latent_shape: tuple[int, ...]

    @property
    def learns_from(self) -> list[str] | None:
        """As MethodConfig.learns_from; a method need not keep its config."""
        config = getattr(self, "config", None)
        return config.learns_from if config else None

    def fit_after_training(self, batches: Iterable[Tensor], seed: int) -> None:
        """Fit what needs the final, averaged weights. batches: all training images. Default: nothing."""

    def latents(self, count: int, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """z ~ N(0, temperature^2 I): float32 (count, *latent_shape). Below 1: more typical, less diverse."""
        if self.translates:
            raise TypeError(f"{type(self).__name__} translates pictures: it draws no latents")
        return temperature * torch.randn(count, *self.latent_shape, generator=rng, device=rng.device)

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """The family's own measures beside those of samples: name -> float32 or bool (B,). Default: none.

        real, labels, rng: as for `updates`, but not of the training. The model is in eval mode. A name that
        ends in `_collapsed` is a flag: the report and `evaluate` name the method where its mean is above 1/2.
        """
        return {}

    @abstractmethod
    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """The image of each latent: float32 (B, C, H, W) in [-1, 1]. labels: of conditional methods only."""

    def interpolate(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """Latents between `start` (share 0) and `end` (share 1), both (B, *latent_shape); share (B,).

        Spherical: Gaussian latents are near a sphere, and a straight line leaves it (White 2016).
        """
        return slerp(start, end, share)

    def decode_between(self, start: Tensor, end: Tensor, share: Tensor, labels: Tensor) -> Tensor:
        """The images on the way from `start` to `end`, as of `interpolate` and `decode`."""
        return self.decode(self.interpolate(start, end, share), labels)

    def codes(self, images: Tensor) -> Tensor:
        """The latents whose pictures are most like images: float32 (B, C, H, W) in [-1, 1] ->
        (B, *latent_shape).

        Only for methods with the capability `encodes`.
        """
        raise TypeError(f"{type(self).__name__} does not encode pictures")

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images through encoder and decoder, without noise: float32 (B, C, H, W) in [-1, 1] -> the same.

        Only for methods with the capability `reconstructs`.
        """
        raise TypeError(f"{type(self).__name__} does not reconstruct pictures")

    def sample(self, labels: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """New images, one for each label: float32 (len(labels), C, H, W) in [-1, 1]."""
        return self.decode(self.latents(len(labels), rng, temperature), labels)

    def exports(self) -> Exports:
        """What a program without this project needs to sample, see `model.exports`. For a model in eval mode.

        Default: `decode` as one network, for methods whose latents are normal numbers.
        """
        inputs = {"latents": torch.randn(2, *self.latent_shape), **self.example_labels()}
        size = ", ".join(map(str, self.latent_shape))
        return Exports({"decoder": Network(Call(self, self.decode_rows), inputs, "images")},
                       f"{NORMAL.format(size=size)}images = run('decoder', latents=latents, labels=labels)\n")

    def example_labels(self) -> dict[str, Tensor]:
        """The input `labels` of an exported network, int64 (2,), of a conditional method; else none."""
        return {"labels": torch.tensor([0, self.shape.classes - 1])} if self.conditional else {}

    def decode_rows(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """As `decode`; an unconditional method needs no labels."""
        none = torch.full((latents.shape[0],), -1, dtype=torch.int64) if labels is None else labels
        return self.decode(latents, none)


def slerp(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Spherical linear interpolation (Shoemake 1985) of each pair of (B, ...) at `share` (B,)."""
    a, b = start.flatten(1), end.flatten(1)
    angle = torch.arccos(F.cosine_similarity(a, b).clamp(-1, 1))[:, None]
    share = share[:, None].to(a)
    on_sphere = (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin()
    return torch.where(angle.sin() > NEARLY_PARALLEL, on_sphere, torch.lerp(a, b, share)).view_as(start)
