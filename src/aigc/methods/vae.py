"""Variational autoencoder (Kingma & Welling 2013) with the beta of Higgins et al. 2017.

    loss = E_q[-log p(x|z)] + beta KL(q(z|x) || p(z)),   q = N(mean(x), exp(log_variance(x))),  p(z) = N(0, I)

Both terms are summed over dimensions and averaged over pictures. To average one and sum the other is a common
mistake. p(x|z) is Bernoulli on [0, 1], or Gaussian on [-1, 1] with a fixed standard deviation or one
learned in closed form (Rybkin et al. 2021). Two options keep latent dimensions in use early in training:
beta may rise from 0 (kl_warmup, Bowman 2016), and each dimension may have its first nats of KL at no cost
(free_bits, Kingma 2016).
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from aigc.core.config import NonNegative, Positive, Share
from aigc.methods.families.encoding import Encoding, EncodingConfig
from aigc.model.contract import Shape


class VAEConfig(EncodingConfig):
    deviation: Positive | Literal["learned"]
    beta: NonNegative
    kl_warmup: Share
    free_bits: NonNegative


class VAE(Encoding):
    config: VAEConfig

    def __init__(self, config: VAEConfig, shape: Shape) -> None:
        super().__init__(config, shape, outputs=2)
        self.deviation = None if config.deviation == "learned" else config.deviation

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and log-variance of q(z|x), each float32 (B, latent)."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance

    def codes(self, images: Tensor) -> Tensor:
        """The means of q(z|x): (B, latent)."""
        return self.posterior(images)[0]

    def terms(self, real: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """-log p(x|z) (B,) at one draw of z ~ q(z|x), and the KL per dimension (B, latent), in nats."""
        mean, log_variance = self.posterior(real)
        z = mean + (log_variance / 2).exp() * self.latents(len(real), rng)
        return self.reconstruction_loss(self.decoder(z), real, self.deviation), kl(mean, log_variance)

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        reconstruction, divergence = self.terms(real, rng)
        kl_loss = divergence.mean(0).clamp(min=self.config.free_bits).sum()
        yield "autoencoder", reconstruction.mean() + self.beta() * kl_loss

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """reconstruction_error, and elbo: nats per picture at beta 1 and one draw of z, where it is a bound.

        bernoulli: of the picture with pixels drawn black or white. gaussian: of a density on [-1, 1]. The two
        cannot be compared. A learned variance is fitted to the measured pictures themselves: that gives no
        bound.
        """
        measures = super().own_measures(real, labels, rng)
        if self.config.likelihood == "gaussian" and self.deviation is None:
            return measures
        reconstruction, divergence = self.terms(real, rng)
        return {**measures, "elbo": -reconstruction - divergence.sum(1)}

    def beta(self) -> float:
        """The weight of the KL term now: it rises linearly over the first share `kl_warmup` of the run."""
        warmup = self.config.kl_warmup
        return self.config.beta * (min(1.0, self.progress / warmup) if warmup else 1.0)


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) in nats: (B, d) (Kingma & Welling 2013, appendix B)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance) / 2
