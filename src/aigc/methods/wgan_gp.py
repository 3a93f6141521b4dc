"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017): a critic that estimates a distance, not a
probability.

    critic     E[D(G(z))] - E[D(x)] + lambda E[(|grad D(x^)| - 1)^2],    x^ = e x + (1 - e) G(z),  e ~ U(0, 1)
    generator  -E[D(G(z))]

The critic takes n_critic steps, each on a fresh batch, before the generator takes one. The critic has no
batch normalisation: the penalty is on the gradient at each single picture, and a normalised score depends
on the whole batch. The penalty may be lazy: it then acts with probability 1 / penalty_every and
penalty_every times the weight.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from aigc.core.config import Count, Positive
from aigc.methods.families import convolutional
from aigc.methods.families.adversarial import Adversarial
from aigc.model.contract import Shape


class WGANGPConfig(convolutional.ConvolutionalConfig):
    n_critic: Count
    gradient_penalty: Positive


class WGANGP(Adversarial):
    config: WGANGPConfig

    def __init__(self, config: WGANGPConfig, shape: Shape) -> None:
        super().__init__(config, shape, *convolutional.networks(config, shape))
        self.batches_per_update = config.n_critic

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        host_rng = self.on_host(rng)
        for batch in real.chunk(self.config.n_critic):
            with torch.no_grad():
                fake = self.augmented(self.generator(self.latents(len(batch), rng)), rng)
            batch = self.augmented(batch, rng)
            distance = self.critic(batch).mean() - self.critic(fake).mean()
            penalty = self.gradient_penalty(batch, fake, rng, host_rng)
            yield "critic", penalty - distance + self.r1_r2_penalty(batch, fake, (), host_rng)
        fake = self.augmented(self.generator(self.latents(len(batch), rng)), rng)
        yield "generator", -self.critic(fake).mean()

    def gradient_penalty(self, real: Tensor, fake: Tensor, rng: torch.Generator,
                         host_rng: torch.Generator) -> Tensor:
        """lambda E[(|grad D(x^)| - 1)^2], x^ between real and generated images (eq. 3), lazily."""
        weight = self.lazy_weight(host_rng)
        if weight == 0:
            return real.new_zeros(())
        e = torch.rand(len(real), 1, 1, 1, generator=rng, device=rng.device)
        norm = self.critic_gradient(torch.lerp(fake.float(), real.float(), e)).norm(dim=1)
        return weight * self.config.gradient_penalty * (norm - 1).square().mean()

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """wasserstein_estimate: the critic's estimate of the distance, beside its accuracy on pairs."""
        distance = self.critic(real) - self.critic(self.sample(labels, rng))
        return {**super().own_measures(real, labels, rng), "wasserstein_estimate": distance}
