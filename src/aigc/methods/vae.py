"""Variational autoencoder (Kingma & Welling 2013) with the beta of Higgins et al. 2017.

    loss = E_q[-log p(x|z)] + beta KL(q(z|x) || N(0, I)),   q = N(mean(x), exp(log_variance(x)))
    sampling: decode z ~ p(z)

Both terms are summed over dimensions and averaged over pictures. To average one and sum the other is a common
mistake. p(x|z) is Bernoulli on [0, 1], or Gaussian on [-1, 1] with a fixed standard deviation or one
learned in closed form (Rybkin et al. 2021). Two options keep latent dimensions in use early in training:
beta may rise from 0 (kl_warmup, Bowman 2016), and each dimension may have its first nats of KL at no cost
(free_bits, Kingma 2016).

With components = 0 the prior p(z) is N(0, I). The codes of all pictures together do not follow it well, and
the decoder has never seen what lies between them. The prior with the best ELBO is the average of q(z|x)
over the pictures (Hoffman & Johnson 2016; Tomczak & Welling 2018). With components > 0, p(z) is a Gaussian
mixture that is fitted to that average after training.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import Normal

from aigc.core.config import NonNegative, Positive, Share
from aigc.methods.families.encoding import Encoding, EncodingConfig
from aigc.model.contract import Shape
from aigc.model.exports import Exports
from aigc.networks.mixture import GaussianMixture

DRAWS = 2  # of z ~ q(z|x) for each picture, to fit the prior


class VAEConfig(EncodingConfig):
    deviation: Positive | Literal["learned"]
    beta: NonNegative
    kl_warmup: Share
    free_bits: NonNegative
    components: Annotated[int, Field(ge=0)]


class VAE(Encoding):
    made_anew = ("prior",)
    config: VAEConfig

    def __init__(self, config: VAEConfig, shape: Shape) -> None:
        super().__init__(config, shape, outputs=2)
        self.deviation = None if config.deviation == "learned" else config.deviation
        self.prior = GaussianMixture(config.components, config.latent) if config.components else None

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and log-variance of q(z|x), each float32 (B, latent)."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance

    def codes(self, images: Tensor) -> Tensor:
        """The means of q(z|x): (B, latent)."""
        return self.posterior(images)[0]

    def latents(self, count: int, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """z ~ p(z), with its standard deviations times the temperature: float32 (count, latent)."""
        if self.prior is None:
            return super().latents(count, rng, temperature)
        return self.prior.sample(count, rng, temperature)

    def exports(self) -> Exports:
        return self.exports_with(self.prior)

    def fit_after_training(self, batches: Iterable[Tensor], seed: int) -> None:
        """Fit the prior to draws of q(z|x), for all training pictures."""
        if self.prior is None:
            return
        mean, log_variance = map(torch.cat, zip(*map(self.posterior, batches), strict=True))
        rng = torch.Generator(mean.device).manual_seed(seed)
        self.prior.fit(torch.cat([draw(mean, log_variance, rng) for _ in range(DRAWS)]), seed)

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        mean, log_variance = self.posterior(real)
        logits = self.decoder(draw(mean, log_variance, rng))
        reconstruction = self.reconstruction_loss(logits, real, self.deviation)
        kl_loss = kl(mean, log_variance).mean(0).clamp(min=self.config.free_bits).sum()
        yield "autoencoder", reconstruction.mean() + self.beta() * kl_loss

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """reconstruction_error, and elbo: nats per picture under p(z) at beta 1 and one draw of z.

        bernoulli: of the picture with pixels drawn black or white. gaussian: of a density on [-1, 1]. The two
        cannot be compared. A learned variance is fitted to the measured pictures themselves: that gives no
        bound, so no elbo.
        """
        measures = super().own_measures(real, labels, rng)
        if self.config.likelihood == "gaussian" and self.deviation is None:
            return measures
        mean, log_variance = self.posterior(real)
        z = draw(mean, log_variance, rng)
        divergence = kl(mean, log_variance).sum(1)
        if self.prior is not None:
            posterior = Normal(mean, (log_variance / 2).exp())
            divergence = posterior.log_prob(z).sum(1) - self.prior.log_density(z)
        reconstruction = self.reconstruction_loss(self.decoder(z), real, self.deviation)
        return {**measures, "elbo": -reconstruction - divergence}

    def beta(self) -> float:
        """The weight of the KL term now: it rises linearly over the first share `kl_warmup` of the run."""
        warmup = self.config.kl_warmup
        return self.config.beta * (min(1.0, self.progress / warmup) if warmup else 1.0)


def draw(mean: Tensor, log_variance: Tensor, rng: torch.Generator) -> Tensor:
    """z ~ N(mean, exp(log_variance)), by the reparameterisation: (B, d)."""
    return mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=rng, device=rng.device)


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) in nats: (B, d) (Kingma & Welling 2013, appendix B)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance) / 2
