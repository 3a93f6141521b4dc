"""Translation between two classes without pairs (Zhu et al. 2017, CycleGAN): two generators that undo each
other, each against a critic.

    cycle    = |to_a(to_b(a)) - a|_1 + |to_b(to_a(b)) - b|_1
    identity = |to_a(a) - a|_1 + |to_b(b) - b|_1
    G: (D_a(to_a(b)) - 1)^2 / 2 + (D_b(to_b(a)) - 1)^2 / 2 + cycle_weight cycle + identity_weight identity
    D: (D(real) - 1)^2 / 2 + D(fake)^2 / 2 for each class; `fake` comes from a pool of past fakes

The critics ask for pictures of the other class, the cycle asks that nothing of the source be lost, the
identity that a picture of the target stays as it is. The latents are source pictures; the label says to which
of the two classes they are translated.

Departures from the paper:
- The first level may be patches of pixels, and the edges are padded with zeros, not reflected: the gradient
  of a reflection has no fixed order of its sums on a GPU.
- The generators add the source to their output, so they start near the identity: on 600 digits the cycle
  then holds better for pictures that were not seen.
- The places that a batch takes in the pool are distinct.
- Samples use the average of the weights.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from torch import Tensor

from aigc.core import paths
from aigc.core.config import Count, NonNegative
from aigc.core.errors import ConfigError
from aigc.methods.families.adversarial import CRITIC_LOSSES, GENERATOR_LOSSES, GANLoss
from aigc.model.contract import LearningRate, Method, MethodConfig, Player, Shape
from aigc.model.exports import Exports, Network
from aigc.networks.translation import PatchCritic, Pool, Translator

LOSS: GANLoss = "least_squares"  # Mao et al. 2017, as in the paper
SMALLEST_GRID = 2  # scores a side; the normalisation of a single position leaves nothing of it
FLATTEST = 1e-4  # variance, to divide by: of a picture that is nearly blank


def _two_names(names: list[str]) -> list[str]:
    if len(names) != 2 or names[0] == names[1]:
        raise ValueError("must be the names of two classes, such as [3, 8]")
    return names


# YAML reads the name of a digit as a number.
ClassName = Annotated[str, BeforeValidator(lambda name: str(name) if type(name) is int else name)]


class CycleGANConfig(MethodConfig):
    classes: Annotated[list[ClassName], AfterValidator(_two_names)]
    generator_lr: LearningRate
    critic_lr: LearningRate
    beta1: Annotated[float, Field(ge=0, lt=1)]
    beta2: Annotated[float, Field(ge=0, lt=1)]
    cycle_weight: NonNegative
    identity_weight: NonNegative
    pool: Annotated[int, Field(ge=0)]
    width: Count
    halvings: Annotated[int, Field(ge=0)]
    depth: Count
    patch: Count
    critic_width: Count
    critic_levels: Annotated[int, Field(ge=1, le=4)]

    @model_validator(mode="after")
    def _halves_of_a_batch(self) -> "CycleGANConfig":
        if self.batch_size % 2:
            raise ValueError(f"batch_size ({self.batch_size}) must be even: half of a batch is of each class")
        if 0 < self.pool < self.batch_size // 2:
            raise ValueError(f"pool ({self.pool}) must be 0 or at least half of batch_size "
                             f"({self.batch_size})")
        return self

    @property
    def learns_from(self) -> list[str]:
        return self.classes


class CycleGAN(Method):
    made_anew = ("pool_a", "pool_b")
    """Label 0 is the class a, label 1 the class b."""

    config: CycleGANConfig
    conditional = needs_classes = translates = True
    interpolates = False  # half of each of two pictures is no picture

    def __init__(self, config: CycleGANConfig, shape: Shape) -> None:
        super().__init__(replace(shape, classes=2))
        self.config, self.latent_shape = config, shape.image
        step = config.patch * 2**config.halvings
        if shape.size % step:
            raise ConfigError(f"{paths.PARAMS}: `cyclegan.patch` times 2 to the power of `cyclegan.halvings` "
                              f"({step}) must divide the pictures' side of {shape.size} pixels")
        if shape.size >> config.critic_levels < SMALLEST_GRID:
            raise ConfigError(f"{paths.PARAMS}: `cyclegan.critic_levels` ({config.critic_levels}) leaves "
                              f"less than {SMALLEST_GRID} x {SMALLEST_GRID} scores of a picture of "
                              f"{shape.size} pixels a side; lower it")
        parts = (shape.channels, config.width, config.halvings, config.depth, config.patch)
        self.to_a, self.to_b = Translator(*parts), Translator(*parts)
        self.critic_a, self.critic_b = (
            PatchCritic(shape.channels, config.critic_width, config.critic_levels) for _ in range(2))
        self.pool_a, self.pool_b = (Pool(config.pool, shape.image) for _ in range(2))

    def players(self) -> dict[str, Player]:
        betas = (self.config.beta1, self.config.beta2)
        generators = [*self.to_a.parameters(), *self.to_b.parameters()]
        critics = [*self.critic_a.parameters(), *self.critic_b.parameters()]
        return {"generator": Player(generators, self.config.generator_lr, betas),
                "critic": Player(critics, self.config.critic_lr, betas)}

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        """real: half of it of each class, in any order (`learns_from`)."""
        a, b = real[labels.argsort(stable=True)].chunk(2)
        (fake_a, same_a), (fake_b, same_b) = self.to_a(torch.cat([b, a])).chunk(2), self.to_b(
            torch.cat([a, b])).chunk(2)
        cycle = F.l1_loss(self.to_a(fake_b), a) + F.l1_loss(self.to_b(fake_a), b)
        identity = F.l1_loss(same_a, a) + F.l1_loss(same_b, b)
        unused = a.new_empty(0)  # the score of real pictures, which this loss does not need
        fooling = (GENERATOR_LOSSES[LOSS](unused, self.critic_a(fake_a))
                   + GENERATOR_LOSSES[LOSS](unused, self.critic_b(fake_b)))
        yield "generator", (fooling + self.config.cycle_weight * cycle
                            + self.config.identity_weight * identity)
        past_a, past_b = (pool.exchange(fake.detach(), rng)
                          for pool, fake in ((self.pool_a, fake_a), (self.pool_b, fake_b)))
        yield "critic", (CRITIC_LOSSES[LOSS](self.critic_a(a), self.critic_a(past_a))
                         + CRITIC_LOSSES[LOSS](self.critic_b(b), self.critic_b(past_b)))

    def fit_after_training(self, batches: object, seed: int) -> None:
        """Nothing is fitted; the pools, which only training needs, are emptied."""
        for pool in (self.pool_a, self.pool_b):
            pool.empty()

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Sources (B, C, H, W) in [-1, 1], each translated to the class of its label, (B,).

        Both generators see the whole batch, so that the bytes do not depend on the labels of the others.
        """
        is_b = (labels == 1)[:, None, None, None]
        return torch.where(is_b, self.to_b(latents), self.to_a(latents))

    def exports(self) -> Exports:
        """The two networks, one for each class that a source can be translated to."""
        inputs = {"source": torch.rand(2, *self.latent_shape) * 2 - 1}
        return Exports({"to_class_0": Network(self.to_a, inputs, "images"),
                        "to_class_1": Network(self.to_b, inputs, "images")},
                       "images = run(f'to_class_{label}', source=source)\n")

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """cycle_error: the mean squared error of a picture that is translated and back, over its variance.

        identity_error: the same of a picture that is translated to its own class.
        """
        there = self.decode(real, 1 - labels)
        variance = real.var((1, 2, 3), correction=0).clamp_min(FLATTEST)
        return {name: (made - real).square().mean((1, 2, 3)) / variance
                for name, made in (("cycle_error", self.decode(there, labels)),
                                   ("identity_error", self.decode(real, labels)))}
