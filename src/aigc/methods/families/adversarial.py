"""What all adversarial methods share, each option once: the losses, the gradient penalties, the augmentation.

A page (gan, dcgan, cgan, wgan_gp, r3gan, stylegan) brings the two networks. With D the critic's logits:

    non_saturating  D: softplus(-D(x)) + softplus(D(G(z)))  G: softplus(-D(G(z)))           Goodfellow 2014
    minimax         D: the same                             G: -softplus(D(G(z)))           Goodfellow 2014
    hinge           D: relu(1 - D(x)) + relu(1 + D(G(z)))   G: -D(G(z))                     Lim & Ye 2017
    least_squares   D: (D(x) - 1)^2 / 2 + D(G(z))^2 / 2     G: (D(G(z)) - 1)^2 / 2          Mao 2017
    relativistic    D: softplus(-(D(x) - D(G(z))))          G: softplus(-(D(G(z)) - D(x)))  Jolicoeur 2019
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

GANLoss = Literal["non_saturating", "minimax", "hinge", "least_squares", "relativistic"]


def _logistic(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(-real).mean() + F.softplus(fake).mean()


CRITIC_LOSSES: dict[GANLoss, Callable[[Tensor, Tensor], Tensor]] = {
    "non_saturating": _logistic,
    "minimax": _logistic,
    "hinge": lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
    "least_squares": lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
    "relativistic": lambda real, fake: F.softplus(-(real - fake)).mean(),
}
GENERATOR_LOSSES: dict[GANLoss, Callable[[Tensor, Tensor], Tensor]] = {
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


class GANLossConfig(AdversarialConfig):
    """Of the methods whose loss the user chooses."""

    loss: GANLoss


class Adversarial(Method):
    """A generator (B, latent) -> images (B, C, H, W) against a critic images -> logits (B,).

    The networks of a conditional method take the labels (B,) as a second argument. The critic gets spectral
    normalisation where the config asks for it (Miyato 2018).
    """

    config: AdversarialConfig

    def __init__(self, config: AdversarialConfig, shape: Shape, generator: nn.Module,
                 critic: nn.Module) -> None:
        super().__init__(shape)
        self.config = config
        self.latent_shape = (config.latent,)
        if config.spectral_norm:
            for layer in critic.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    spectral_norm(layer)
        self.generator, self.critic = generator, critic

    def players(self) -> dict[str, Player]:
        betas = (self.config.beta1, self.config.beta2)
        return {"critic": Player(list(self.critic.parameters()), self.config.critic_lr, betas),
                "generator": Player(list(self.generator.parameters()), self.config.generator_lr, betas)}

    def condition(self, labels: Tensor) -> tuple[Tensor, ...]:
        """The networks' second argument: the labels, or nothing where the method is unconditional.

        An unlabelled picture has the label `classes`: in r3gan and stylegan, a class of its own.
        """
        return (torch.where(labels < 0, self.shape.classes, labels),) if self.conditional else ()

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        assert isinstance(self.config, GANLossConfig)
        loss, condition = self.config.loss, self.condition(labels)
        fake = self.augmented(self.generated(labels, rng), rng)
        real = self.augmented(real, rng)
        logits = self.critic(real, *condition), self.critic(fake.detach(), *condition)
        self.heed(logits[0])
        penalty = self.r1_r2_penalty(real, fake, condition, self.on_host(rng))
        yield "critic", CRITIC_LOSSES[loss](*logits) + penalty
        with torch.no_grad():
            real_logits = self.critic(real, *condition) if loss == "relativistic" else torch.empty(0)
        yield "generator", GENERATOR_LOSSES[loss](real_logits, self.critic(fake, *condition))

    def generated(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        """The images of a training step."""
        return self.decode(self.latents(len(labels), rng), labels)

    def heed(self, real_logits: Tensor) -> None:
        """Called with the critic's scores of the real images of each step. Default: nothing."""

    def augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Real and generated images for the critic: both augmented (Zhao 2020), then with instance noise.

        The noise (Sønderby 2017) starts with standard deviation `instance_noise` and falls linearly to 0.
        """
        if self.config.brightness:
            images = augment.brighten(images, self.config.brightness, rng)
        if pixels := int(self.config.translate * self.shape.size):
            images = augment.translate(images, pixels, rng)
        if side := int(self.config.cutout * self.shape.size):
            images = augment.cutout(images, side, rng)
        if deviation := self.config.instance_noise * (1 - self.progress):
            images = images + deviation * torch.randn(images.shape, generator=rng, device=rng.device)
        return images

    def r1_r2_penalty(self, real: Tensor, fake: Tensor, condition: tuple[Tensor, ...],
                      host_rng: torch.Generator) -> Tensor:
        """R1 and R2: r/2 E|grad D|^2 on real and generated images (Mescheder 2018, eq. 9 and 10), lazily."""
        penalty = real.new_zeros(())
        if self.config.r1 == self.config.r2 == 0 or (weight := self.lazy_weight(host_rng)) == 0:
            return penalty
        for gamma, images in ((self.config.r1, real), (self.config.r2, fake)):
            if gamma:
                gradient = self.critic_gradient(images, condition)
                penalty = penalty + gamma / 2 * weight * gradient.square().sum(1).mean()
        return penalty

    def lazy_weight(self, host_rng: torch.Generator) -> int:
        """Lazy regularisation (Karras 2020, StyleGAN2): penalty_every at one step of so many, else 0.

        host_rng: from `self.on_host`; with a draw on a GPU every step would wait for the GPU.
        """
        every = self.config.penalty_every
        return 0 if int(torch.randint(every, (), generator=host_rng)) else every

    def critic_gradient(self, images: Tensor, condition: tuple[Tensor, ...] = ()) -> Tensor:
        """The gradient of each image's score with respect to the image, differentiable: (B, C * H * W)."""
        images = images.detach().float().requires_grad_()
        with torch.autocast(images.device.type, enabled=False):
            # `forward` is not compiled: a compiled network has no second derivative.
            scores = self.critic.forward(images, *condition)
            gradient, = torch.autograd.grad(scores.sum(), images, create_graph=True)
        return gradient.flatten(1)

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.generator(latents, *self.condition(labels))
        return images

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """critic_accuracy_pairs: whether the real image of a pair scores higher; by chance 0.5 on average.

        critic_accuracy_real, critic_accuracy_generated: whether the score is on the right side of the
        boundary between real and generated, where the loss has one.
        """
        condition = self.condition(labels)
        on_real, on_fake = self.critic(real, *condition), self.critic(self.sample(labels, rng), *condition)
        pairs = {"critic_accuracy_pairs": on_real > on_fake}
        if not isinstance(self.config, GANLossConfig) or self.config.loss == "relativistic":
            return pairs  # only differences between scores mean something
        boundary = 0.5 if self.config.loss == "least_squares" else 0.0
        return {**pairs, "critic_accuracy_real": on_real > boundary,
                "critic_accuracy_generated": on_fake <= boundary}
