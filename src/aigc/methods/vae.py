"""Variational autoencoder (Kingma & Welling 2013) with the beta of Higgins et al. 2017.

    loss = E_q[-log p(x|z)] + beta KL(q(z|x) || p(z)),    q = N(mean(x), exp(log_variance(x))),  p(z) = N(0, I)

Both terms are sums over dimensions and means over pictures: averaging one and summing the other is the commonest
mistake. p(x|z) is Bernoulli on [0, 1], or Gaussian on [-1, 1] with a standard deviation that is given or learned in
closed form (Rybkin et al. 2021). The KL term may rise slowly (Bowman 2016), and a dimension may be left its first
nats for free (Kingma 2016), so that the decoder learns to use the latents before they are priced.
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
    def __init__(self, config: VAEConfig, shape: Shape) -> None:
        super().__init__(config, shape, outputs=2)
        self.config = config
        self.deviation = None if config.deviation == "learned" else config.deviation

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and log-variance of q(z|x), each float32 (B, latent)."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance

    def codes(self, images: Tensor) -> Tensor:
        return self.posterior(images)[0]

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        mean, log_variance = self.posterior(real)
        logits = self.decoder(mean + (log_variance / 2).exp() * self.latents(len(real), rng))
        price = kl(mean, log_variance).mean(0).clamp(min=self.config.free_bits).sum()
        yield "autoencoder", self.misfit(logits, real, self.deviation).mean() + self.beta() * price

    def own_measures(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """elbo: nats a picture, at beta 1 and one draw of z, beside the reconstruction error. bernoulli: of the picture made
        black and white at random, each pixel by its grey; gaussian: a density on [-1, 1]. The two do not compare."""
        if self.likelihood == "gaussian" and self.deviation is None:
            return super().own_measures(real, labels, rng)  # a variance fitted to the pictures that are judged gives no bound
        mean, log_variance = self.posterior(real)
        logits = self.decoder(mean + (log_variance / 2).exp() * self.latents(len(real), rng))
        elbo = -self.misfit(logits, real, self.deviation) - kl(mean, log_variance).sum(1)
        return {**super().own_measures(real, labels, rng), "elbo": elbo}

    def beta(self) -> float:
        """The weight of the KL term now: rising linearly over the first share `kl_warmup` of the run."""
        return self.config.beta * (min(1.0, self.progress / self.config.kl_warmup) if self.config.kl_warmup else 1.0)


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) in nats, a dimension: (B, d) (Kingma & Welling 2013, appendix B)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance) / 2
