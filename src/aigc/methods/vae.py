"""Variational autoencoder (Kingma & Welling 2013) with the beta of Higgins et al. 2017.

    loss = E_q[-log p(x|z)] + beta KL(q(z|x) || p(z)),    q = N(mu(x), sigma(x)^2),  p(z) = N(0, I)

Both terms are sums over dimensions and means over pictures: averaging one and summing the other is the commonest
mistake. p(x|z) is Bernoulli on [0, 1], or Gaussian with one variance learned in closed form (Rybkin et al. 2021).
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from aigc.core import config
from aigc.methods.contract import LearningRate, Method, MethodConfig, Player, Shape
from aigc.networks import trunks


class Config(MethodConfig):
    latent: config.Count
    width: config.Count
    max_width: config.Count
    learning_rate: LearningRate
    trunk: trunks.Trunk
    likelihood: Literal["bernoulli", "gaussian"]
    beta: Annotated[float, Field(ge=0)]


class Build(Method):
    def __init__(self, chosen: Config, shape: Shape) -> None:
        super().__init__(shape)
        self.chosen = chosen
        self.encoder, self.decoder = trunks.pair(chosen.trunk, shape.image, 2 * chosen.latent, chosen.latent, chosen.width,
                                                 chosen.max_width)

    def players(self) -> dict[str, Player]:
        return {"autoencoder": Player(list(self.parameters()), self.chosen.learning_rate)}

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and log-variance of q(z|x), each float32 (B, latent)."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, latents: Tensor) -> Tensor:
        """The mean of p(x|z) in [-1, 1]: (B, C, H, W)."""
        images: Tensor = torch.tanh(self.decoder(latents) / 2)  # 2 sigmoid(a) - 1
        return images

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        mean, log_variance = self.encode(real)
        noise = torch.randn(mean.shape, generator=rng, device=rng.device)
        logits = self.decoder(mean + noise * (log_variance / 2).exp())
        yield "autoencoder", (self.reconstruction(logits, real) + self.chosen.beta * kl(mean, log_variance)).mean()

    def reconstruction(self, logits: Tensor, real: Tensor) -> Tensor:
        """-log p(x|z) in nats, summed over pixels: (B,)."""
        if self.chosen.likelihood == "bernoulli":
            return F.binary_cross_entropy_with_logits(logits, (real + 1) / 2, reduction="none").sum((1, 2, 3))
        error = (torch.tanh(logits / 2) - real).square()
        # sigma^2* = mean squared error is the maximum-likelihood variance (Rybkin 2021, eq. 5)
        return error.sum((1, 2, 3)) / (2 * error.mean().detach()) + error[0].numel() / 2 * error.mean().log()

    def sample(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        return self.decode(torch.randn(len(labels), self.chosen.latent, generator=rng, device=rng.device))


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diag exp(log_variance)) || N(0, I)) in nats: (B, d) -> (B,) (Kingma & Welling 2013, appendix B)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
