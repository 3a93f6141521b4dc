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
from torch import Tensor, nn

from aigc.core import config
from aigc.methods.contract import LearningRate, Method, MethodConfig, Player, Shape
from aigc.networks import blocks


class Config(MethodConfig):
    latent: config.Count
    width: config.Count
    max_width: config.Count
    learning_rate: LearningRate
    trunk: Literal["convolution", "mlp"]
    likelihood: Literal["bernoulli", "gaussian"]
    beta: Annotated[float, Field(ge=0)]


class Build(Method):
    def __init__(self, chosen: Config, shape: Shape) -> None:
        super().__init__(shape)
        self.chosen = chosen
        self.encoder, self.decoder = (mlp_trunk if chosen.trunk == "mlp" else convolutional_trunk)(chosen, shape)

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


def mlp_trunk(chosen: Config, shape: Shape) -> tuple[nn.Module, nn.Module]:
    pixels, width = shape.channels * shape.size**2, chosen.max_width
    return (nn.Sequential(nn.Flatten(), blocks.mlp([pixels, width, width, 2 * chosen.latent])),
            nn.Sequential(blocks.mlp([chosen.latent, width, width, pixels]), nn.Unflatten(1, shape.image)))


def convolutional_trunk(chosen: Config, shape: Shape) -> tuple[nn.Module, nn.Module]:
    levels = blocks.widths(chosen.width, shape.size, chosen.max_width)
    side = shape.size >> (len(levels) - 1)
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for fine, coarse in zip([shape.channels, *levels[1:]], levels[1:], strict=False):
        down += [nn.Conv2d(fine, coarse, 4, 2, 1), nn.SiLU()]
        up = [nn.SiLU(), nn.ConvTranspose2d(coarse, fine, 4, 2, 1), *up]
    flat = levels[-1] * side**2
    encoder = nn.Sequential(*down, nn.Flatten(), blocks.Linear(flat, 2 * chosen.latent))
    return encoder, nn.Sequential(blocks.Linear(chosen.latent, flat), nn.Unflatten(1, (levels[-1], side, side)), *up)
