"""What all adversarial methods share, each option once: the game, its losses, penalties and augmentation.

A page (gan, dcgan, cgan, wgan_gp) brings two networks; this file brings the rules. With D the critic's logits:

    non_saturating  D: softplus(-D(x)) + softplus(D(G(z)))      G: softplus(-D(G(z)))        Goodfellow 2014
    minimax         D: the same                                 G: -softplus(D(G(z)))        Goodfellow 2014, eq. 1
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

from aigc.core.config import Count, NonNegative, Share
from aigc.model.contract import LearningRate, Method, MethodConfig, Player, Shape
from aigc.networks import augment

Game = Literal["non_saturating", "minimax", "hinge", "least_squares", "relativistic"]


def _logistic(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(-real).mean() + F.softplus(fake).mean()


CRITIC_LOSSES: dict[Game, Callable[[Tensor, Tensor], Tensor]] = {
    "non_saturating": _logistic,
    "minimax": _logistic,
    "hinge": lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
    "least_squares": lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
    "relativistic": lambda real, fake: F.softplus(-(real - fake)).mean(),
}
GENERATOR_LOSSES: dict[Game, Callable[[Tensor, Tensor], Tensor]] = {
    "non_saturating": lambda real, fake: F.softplus(-fake).mean(),
    "minimax": lambda real, fake: -F.softplus(fake).mean(),
    "hinge": lambda real, fake: -fake.mean(),
    "least_squares": lambda real, fake: (fake - 1).square().mean() / 2,
    "relativistic": lambda real, fake: F.softplus(-(fake - real)).mean(),
}


class AdversarialConfig(MethodConfig):
    latent: Count
    generator_lr: LearningRate
    critic_lr: LearningRate
    beta1: Annotated[float, Field(ge=0, lt=1)]
    beta2: Annotated[float, Field(ge=0, lt=1)]
    spectral_norm: bool
    r1: NonNegative
    r2: NonNegative
    penalty_every: Count
    instance_noise: NonNegative
    translate: Share
    cutout: Share
    brightness: Share


class GameConfig(AdversarialConfig):
    loss: Game


class Adversarial(Method):
    """Generator against critic. A subclass gives `play` a generator (B, latent) -> image and a critic image -> (B,) logits."""

    generator: nn.Module
    critic: nn.Module

    def __init__(self, config: AdversarialConfig, shape: Shape) -> None:
        super().__init__(shape)
        self.rules = config
        self.latent_shape = (config.latent,)

    def play(self, generator: nn.Module, critic: nn.Module) -> None:
        """Take the two networks, the critic with spectral normalisation where it is asked for (Miyato 2018)."""
        if self.rules.spectral_norm:
            for layer in critic.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    spectral_norm(layer)
        self.generator, self.critic = generator, critic

    def players(self) -> dict[str, Player]:
        betas = (self.rules.beta1, self.rules.beta2)
        return {"critic": Player(list(self.critic.parameters()), self.rules.critic_lr, betas),
                "generator": Player(list(self.generator.parameters()), self.rules.generator_lr, betas)}

    def given(self, labels: Tensor) -> tuple[Tensor, ...]:
        """What the networks are told beside their input: the labels where the method is conditional."""
        return (labels,) if self.conditional else ()

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        assert isinstance(self.rules, GameConfig)
        given = self.given(labels)
        fake = self.view(self.decode(self.latents(len(real), rng), labels), rng)
        real = self.view(real, rng)
        loss = CRITIC_LOSSES[self.rules.loss](self.critic(real, *given), self.critic(fake.detach(), *given))
        yield "critic", loss + self.penalty(real, fake, given, rng)
        with torch.no_grad():
            real_logits = self.critic(real, *given) if self.rules.loss == "relativistic" else torch.empty(0)
        yield "generator", GENERATOR_LOSSES[self.rules.loss](real_logits, self.critic(fake, *given))

    def view(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Real and generated pictures as the critic sees them: augmented alike (Zhao 2020), and under instance noise.

        The noise (Sønderby 2017) has standard deviation `instance_noise` at the start and falls linearly to none.
        """
        if self.rules.brightness:
            images = augment.brighten(images, self.rules.brightness, rng)
        if reach := int(self.rules.translate * self.shape.size):
            images = augment.translate(images, reach, rng)
        if side := int(self.rules.cutout * self.shape.size):
            images = augment.cutout(images, side, rng)
        if deviation := self.rules.instance_noise * (1 - self.progress):
            images = images + deviation * torch.randn(images.shape, generator=rng, device=rng.device)
        return images

    def penalty(self, real: Tensor, fake: Tensor, given: tuple[Tensor, ...], rng: torch.Generator) -> Tensor:
        """R1 and R2: r/2 E|grad D|^2 on real and on generated pictures (Mescheder 2018, eq. 9 and 10).

        Lazy, as `laziness` says.
        """
        total = real.new_zeros(())
        if self.rules.r1 == self.rules.r2 == 0 or (weight := self.laziness(rng)) == 0:
            return total
        for strength, images in ((self.rules.r1, real), (self.rules.r2, fake)):
            if strength:
                total = total + strength / 2 * weight * self.slope(images, given).square().sum(1).mean()
        return total

    def laziness(self, rng: torch.Generator) -> int:
        """The weight of a penalty at this step: `penalty_every` on one step in so many, else 0 (Karras 2020, StyleGAN2)."""
        every = self.rules.penalty_every
        return 0 if int(torch.randint(every, (), generator=rng, device=rng.device)) else every

    def slope(self, images: Tensor, given: tuple[Tensor, ...] = ()) -> Tensor:
        """The gradient of the critic's score with respect to each picture, itself differentiable: (B, C * H * W)."""
        images = images.detach().float().requires_grad_()
        with torch.autocast(images.device.type, enabled=False):
            gradient, = torch.autograd.grad(self.critic(images, *given).sum(), images, create_graph=True)
        return gradient.flatten(1)

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.generator(latents, *self.given(labels))
        return images

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """How often the critic is right: of a real and a generated picture (one half: it cannot tell), and of each alone where
        the game gives its score a boundary."""
        given = self.given(labels)
        of_real, of_fake = self.critic(real, *given), self.critic(self.sample(labels, rng), *given)
        measures = {"critic_accuracy_pairs": of_real > of_fake}
        if not isinstance(self.rules, GameConfig) or self.rules.loss == "relativistic":  # only differences mean something
            return measures
        boundary = 0.5 if self.rules.loss == "least_squares" else 0.0
        return {**measures, "critic_accuracy_real": of_real > boundary, "critic_accuracy_generated": of_fake <= boundary}
