"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017): a critic that estimates a distance, not a probability.

    critic     E[D(G(z))] - E[D(x)] + lambda E[(|grad D(x^)| - 1)^2],    x^ = e x + (1 - e) G(z),  e ~ U(0, 1)
    generator  -E[D(G(z))]

The critic takes n_critic steps, each on a fresh batch, before the generator takes one. No batch normalisation in the
critic: the penalty is on the gradient at one picture, which a normalised batch does not have. The penalty may be lazy, and
then acts on one step in `penalty_every`, so much the stronger there.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from aigc.core.config import Count, Positive
from aigc.methods.families import convolutional
from aigc.methods.families.adversarial import Adversarial
from aigc.model.contract import Shape


class WGANGPConfig(convolutional.PyramidConfig):
    n_critic: Count
    gradient_penalty: Positive


class WGANGP(Adversarial):
    def __init__(self, config: WGANGPConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.n_critic = self.reals_per_update = config.n_critic
        self.strength = config.gradient_penalty
        self.play(*convolutional.players(config, shape))

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        for batch in real.chunk(self.n_critic):
            with torch.no_grad():
                fake = self.view(self.generator(self.latents(len(batch), rng)), rng)
            batch = self.view(batch, rng)
            distance = self.critic(batch).mean() - self.critic(fake).mean()
            yield "critic", self.off_slope_one(batch, fake, rng) - distance + self.penalty(batch, fake, (), rng)
        yield "generator", -self.critic(self.view(self.generator(self.latents(len(batch), rng)), rng)).mean()

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """The critic's estimate of the Wasserstein distance beside its accuracy on pairs."""
        distance = self.critic(real) - self.critic(self.sample(labels, rng))
        return {**super().own_measures(real, labels, rng), "wasserstein_estimate": distance}

    def off_slope_one(self, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
        """lambda E[(|grad D(x^)| - 1)^2] between pairs of real and generated pictures (eq. 3), lazily."""
        weight = self.laziness(rng)
        if weight == 0:
            return real.new_zeros(())
        e = torch.rand(len(real), 1, 1, 1, generator=rng, device=rng.device)
        return weight * self.strength * (self.slope(torch.lerp(fake.float(), real.float(), e)).norm(dim=1) - 1).square().mean()
