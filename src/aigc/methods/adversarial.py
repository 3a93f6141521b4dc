"""What all adversarial methods share, each option once: the game, its losses, penalties and augmentation.

A page (gan, dcgan, cgan) brings two networks; this file brings the rules. With D the critic's logits:

    non_saturating  D: softplus(-D(x)) + softplus(D(G(z)))      G: softplus(-D(G(z)))        Goodfellow 2014
    hinge           D: relu(1 - D(x)) + relu(1 + D(G(z)))       G: -D(G(z))                  Lim & Ye 2017
    least_squares   D: (D(x) - 1)^2 / 2 + D(G(z))^2 / 2         G: (D(G(z)) - 1)^2 / 2       Mao 2017
    relativistic    D: softplus(-(D(x) - D(G(z))))              G: softplus(-(D(G(z)) - D(x)))  Jolicoeur-Martineau 2019
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from aigc.core import config
from aigc.methods.contract import LearningRate, Method, MethodConfig, Player, Shape

Game = Literal["non_saturating", "hinge", "least_squares", "relativistic"]
CRITIC_LOSSES: dict[Game, Callable[[Tensor, Tensor], Tensor]] = {
    "non_saturating": lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
    "hinge": lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
    "least_squares": lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
    "relativistic": lambda real, fake: F.softplus(-(real - fake)).mean(),
}
GENERATOR_LOSSES: dict[Game, Callable[[Tensor, Tensor], Tensor]] = {
    "non_saturating": lambda real, fake: F.softplus(-fake).mean(),
    "hinge": lambda real, fake: -fake.mean(),
    "least_squares": lambda real, fake: (fake - 1).square().mean() / 2,
    "relativistic": lambda real, fake: F.softplus(-(fake - real)).mean(),
}


class AdversarialConfig(MethodConfig):
    latent: config.Count
    loss: Game
    generator_lr: LearningRate
    critic_lr: LearningRate
    beta1: Annotated[float, Field(ge=0, lt=1)]
    beta2: Annotated[float, Field(ge=0, lt=1)]
    spectral_norm: bool
    r1: Annotated[float, Field(ge=0)]
    r1_every: config.Count
    translate: config.Share


class Adversarial(Method):
    """Generator against critic. A subclass sets `generator` (B, latent) -> image and `critic` image -> (B,) logits."""

    generator: nn.Module
    critic: nn.Module

    def __init__(self, chosen: AdversarialConfig, shape: Shape) -> None:
        super().__init__(shape)
        self.chosen = chosen

    def play(self, generator: nn.Module, critic: nn.Module) -> None:
        """Take the two networks, the critic with spectral normalisation where it is asked for (Miyato 2018)."""
        if self.chosen.spectral_norm:
            for layer in critic.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    spectral_norm(layer)
        self.generator, self.critic = generator, critic

    def players(self) -> dict[str, Player]:
        betas = (self.chosen.beta1, self.chosen.beta2)
        return {"critic": Player(list(self.critic.parameters()), self.chosen.critic_lr, betas),
                "generator": Player(list(self.generator.parameters()), self.chosen.generator_lr, betas)}

    def latents(self, count: int, rng: torch.Generator) -> Tensor:
        """z ~ N(0, I): float32 (count, latent)."""
        return torch.randn(count, self.chosen.latent, generator=rng, device=rng.device)

    def given(self, labels: Tensor) -> tuple[Tensor, ...]:
        """What the networks are told beside their input: the labels where the method is conditional."""
        return (labels,) if self.conditional else ()

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        given = self.given(labels)
        fake = self.generator(self.latents(len(real), rng), *given)
        real, fake = self.augment(real, rng), self.augment(fake, rng)
        loss = CRITIC_LOSSES[self.chosen.loss](self.critic(real, *given), self.critic(fake.detach(), *given))
        yield "critic", loss + self.gradient_penalty(real, given, rng)
        with torch.no_grad():
            real_logits = self.critic(real, *given) if self.chosen.loss == "relativistic" else torch.empty(0)
        yield "generator", GENERATOR_LOSSES[self.chosen.loss](real_logits, self.critic(fake, *given))

    def augment(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Shift real and generated pictures alike, differentiably (Zhao 2020); new pixels are background (-1)."""
        reach = int(self.chosen.translate * self.shape.size)
        if reach == 0:
            return images
        count, side = len(images), self.shape.size
        shift = torch.randint(0, 2 * reach + 1, (2, count, 1), generator=rng, device=rng.device)
        rows, columns = torch.arange(side, device=rng.device) + shift
        padded = F.pad(images, [reach] * 4, value=-1).permute(0, 2, 3, 1)
        which = torch.arange(count, device=rng.device)[:, None, None]
        return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def gradient_penalty(self, real: Tensor, given: tuple[Tensor, ...], rng: torch.Generator) -> Tensor:
        """R1 = gamma/2 E|grad_x D(x)|^2 (Mescheder 2018), on one step in `r1_every`, so much the stronger there."""
        every = self.chosen.r1_every
        if self.chosen.r1 == 0 or int(torch.randint(every, (), generator=rng, device=rng.device)) > 0:
            return real.new_zeros(())
        real = real.detach().float().requires_grad_()
        with torch.autocast(real.device.type, enabled=False):
            gradient, = torch.autograd.grad(self.critic(real, *given).sum(), real, create_graph=True)
        return gradient.square().sum((1, 2, 3)).mean() * (self.chosen.r1 / 2 * every)

    def sample(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        images: Tensor = self.generator(self.latents(len(labels), rng), *self.given(labels))
        return images
