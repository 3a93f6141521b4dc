"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017): a critic that estimates a distance, not a probability.

    critic     E[D(G(z))] - E[D(x)] + lambda E[(|grad D(x^)| - 1)^2],    x^ = e x + (1 - e) G(z),  e ~ U(0, 1)
    generator  -E[D(G(z))]

The critic takes n_critic steps, each on a fresh batch, before the generator takes one. No batch normalisation in the
critic: the penalty is on the gradient at one picture, which a normalised batch does not have.
"""

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from aigc.core import config
from aigc.methods.contract import LearningRate, Method, MethodConfig, Player, Shape
from aigc.networks import blocks
from aigc.networks.convolutional import Critic, Generator


class Config(MethodConfig):
    latent: config.Count
    width: config.Count
    max_width: config.Count
    generator_lr: LearningRate
    critic_lr: LearningRate
    beta1: Annotated[float, Field(ge=0, lt=1)]
    beta2: Annotated[float, Field(ge=0, lt=1)]
    n_critic: config.Count
    penalty: config.Positive


class Build(Method):
    def __init__(self, chosen: Config, shape: Shape) -> None:
        super().__init__(shape)
        self.chosen = chosen
        self.reals_per_update = chosen.n_critic
        levels = blocks.widths(chosen.width, shape.size, chosen.max_width)
        side = shape.size >> (len(levels) - 1)
        self.generator = Generator(chosen.latent, levels, side, shape.channels)
        self.critic = Critic(shape.channels, levels, side)

    def players(self) -> dict[str, Player]:
        betas = (self.chosen.beta1, self.chosen.beta2)
        return {"critic": Player(list(self.critic.parameters()), self.chosen.critic_lr, betas),
                "generator": Player(list(self.generator.parameters()), self.chosen.generator_lr, betas)}

    def latents(self, count: int, rng: torch.Generator) -> Tensor:
        """z ~ N(0, I): float32 (count, latent)."""
        return torch.randn(count, self.chosen.latent, generator=rng, device=rng.device)

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        for batch in real.chunk(self.chosen.n_critic):
            with torch.no_grad():
                fake = self.generator(self.latents(len(batch), rng))
            distance = self.critic(batch).mean() - self.critic(fake).mean()
            yield "critic", self.chosen.penalty * self.gradient_penalty(batch, fake, rng) - distance
        yield "generator", -self.critic(self.generator(self.latents(len(batch), rng))).mean()

    def gradient_penalty(self, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
        """E[(|grad D(x^)| - 1)^2] between pairs of real and generated pictures (eq. 3)."""
        e = torch.rand(len(real), 1, 1, 1, generator=rng, device=rng.device)
        between = (e * real + (1 - e) * fake).detach().float().requires_grad_()
        with torch.autocast(real.device.type, enabled=False):
            gradient, = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()

    def sample(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        images: Tensor = self.generator(self.latents(len(labels), rng))
        return images
