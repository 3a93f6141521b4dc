"""Regularised autoencoder with a density fitted to its codes after training (Ghosh et al. 2020).

    loss = -log p(x|z) + decay |z|^2 / 2,   z = encoder(x) + noise e,  e ~ N(0, I)
    afterwards  q(z) = a Gaussian mixture over the codes of the training pictures;   sampling: decode z ~ q

Nothing in training makes the codes follow a known law; the mixture learns the law that they follow.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from aigc.core import config
from aigc.methods.contract import LearningRate, Method, MethodConfig, Player, Shape
from aigc.networks import trunks

NonNegative = Annotated[float, Field(ge=0)]


class Config(MethodConfig):
    latent: config.Count
    width: config.Count
    max_width: config.Count
    learning_rate: LearningRate
    trunk: trunks.Trunk
    loss: Literal["bce", "mse"]
    decay_codes: NonNegative
    noise: NonNegative
    components: config.Count


class Build(Method):
    def __init__(self, chosen: Config, shape: Shape) -> None:
        super().__init__(shape)
        self.chosen = chosen
        self.encoder, self.decoder = trunks.pair(chosen.trunk, shape.image, chosen.latent, chosen.latent, chosen.width,
                                                 chosen.max_width)
        self.density = Mixture(chosen.components, chosen.latent)

    def players(self) -> dict[str, Player]:
        return {"autoencoder": Player([*self.encoder.parameters(), *self.decoder.parameters()], self.chosen.learning_rate)}

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> codes (B, latent)."""
        codes: Tensor = self.encoder(images)
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """(B, latent) -> (B, C, H, W) in [-1, 1]."""
        images: Tensor = torch.tanh(self.decoder(codes) / 2)  # 2 sigmoid(a) - 1
        return images

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        codes = self.encode(real)
        noisy = codes + self.chosen.noise * torch.randn(codes.shape, generator=rng, device=rng.device)
        yield "autoencoder", (self.reconstruction(self.decoder(noisy), real) + self.chosen.decay_codes * codes.square().sum(1) / 2).mean()

    def reconstruction(self, logits: Tensor, real: Tensor) -> Tensor:
        """bce: -log p(x|z) of Bernoulli pixels in nats; mse: half the squared error in [-1, 1]. Summed over pixels: (B,)."""
        if self.chosen.loss == "bce":
            return F.binary_cross_entropy_with_logits(logits, (real + 1) / 2, reduction="none").sum((1, 2, 3))
        return (torch.tanh(logits / 2) - real).square().sum((1, 2, 3)) / 2

    def conclude(self, batches: Iterable[Tensor], seed: int) -> None:
        """Fit the mixture to the codes of all training pictures."""
        self.density.fit(torch.cat([self.encode(batch) for batch in batches]), seed)

    def sample(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        return self.decode(self.density.sample(len(labels), rng))


class Mixture(nn.Module):
    """A Gaussian mixture, fitted once by scikit-learn and kept as buffers: sum_k weights_k N(means_k, roots_k roots_k^T): weights (K,), means (K, d), roots (K, d, d), lower triangular."""

    weights: Tensor
    means: Tensor
    roots: Tensor

    def __init__(self, components: int, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, dimensions))
        self.register_buffer("roots", torch.eye(dimensions).repeat(components, 1, 1))

    def fit(self, points: Tensor, seed: int) -> None:
        """Maximum likelihood by EM on points (n, d), n at least the number of components, on one thread: same points, same bytes."""
        from sklearn.mixture import GaussianMixture
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1):
            fitted = GaussianMixture(min(len(self.weights), len(points)), reg_covar=1e-4, random_state=seed).fit(points.double().cpu().numpy())
        count = len(fitted.weights_)
        self.weights.zero_()[:count] = torch.from_numpy(fitted.weights_)
        self.means[:count] = torch.from_numpy(fitted.means_)
        self.roots[:count] = torch.linalg.cholesky(torch.from_numpy(fitted.covariances_))

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Draw points: float32 (count, d)."""
        which = torch.multinomial(self.weights, count, replacement=True, generator=rng)
        noise = torch.randn(count, self.means.shape[1], 1, generator=rng, device=rng.device)
        return self.means[which] + (self.roots[which] @ noise).squeeze(2)
