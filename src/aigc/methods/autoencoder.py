"""Autoencoder with noise on its codes, and a density fitted to them after training (that density: Ghosh et
al. 2020).

    loss = -log p(x|z) + decay_codes |encoder(x)|^2 / 2,   z = encoder(x) + noise e,  e ~ N(0, I)
    afterwards  q(z) = a Gaussian mixture over the codes of the training pictures;   sampling: decode z ~ q

The training loss does not make the codes follow a known distribution. The mixture learns their distribution.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from aigc.core.config import Count, NonNegative
from aigc.methods.families.encoding import Encoding, EncodingConfig
from aigc.model.contract import Shape


class AutoencoderConfig(EncodingConfig):
    decay_codes: NonNegative
    noise: NonNegative
    components: Count


class Autoencoder(Encoding):
    config: AutoencoderConfig

    def __init__(self, config: AutoencoderConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.density = GaussianMixture(config.components, config.latent)

    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        codes = self.codes(real)
        z = codes + self.config.noise * torch.randn(codes.shape, generator=rng, device=rng.device)
        reconstruction = self.reconstruction_loss(self.decoder(z), real)
        yield "autoencoder", (reconstruction + self.config.decay_codes * codes.square().sum(1) / 2).mean()

    def fit_after_training(self, batches: Iterable[Tensor], seed: int) -> None:
        """Fit the mixture to the codes of all training pictures."""
        self.density.fit(torch.cat([self.codes(batch) for batch in batches]), seed)

    def latents(self, count: int, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """z ~ q(z), each Gaussian's standard deviations times the temperature: float32 (count, latent)."""
        return self.density.sample(count, rng, temperature)

    def interpolate(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """A straight line: the codes are not near a sphere."""
        return torch.lerp(start, end, share[:, None])


class GaussianMixture(nn.Module):
    """sum_k weights_k N(means_k, roots_k roots_k^T), fitted by scikit-learn and kept as buffers.

    weights (K,), means (K, d), roots (K, d, d), lower triangular.
    """

    weights: Tensor
    means: Tensor
    roots: Tensor

    def __init__(self, components: int, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, dimensions))
        self.register_buffer("roots", torch.eye(dimensions).repeat(components, 1, 1))

    def fit(self, points: Tensor, seed: int) -> None:
        """Maximum likelihood by EM on points (n, d), with n components where n is less than K.

        On one thread, so that the same points give the same bytes.
        """
        from sklearn import mixture
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1):
            components = min(len(self.weights), len(points))
            fitted = mixture.GaussianMixture(components, reg_covar=1e-4, random_state=seed).fit(
                points.cpu().double().numpy())
        self.weights.zero_()[:components] = torch.from_numpy(fitted.weights_)
        self.means[:components] = torch.from_numpy(fitted.means_)
        self.roots[:components] = torch.linalg.cholesky(torch.from_numpy(fitted.covariances_))

    def sample(self, count: int, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """Draw points: float32 (count, d)."""
        component = torch.multinomial(self.weights, count, replacement=True, generator=rng)
        noise = torch.randn(count, self.means.shape[1], 1, generator=rng, device=rng.device)
        return self.means[component] + temperature * (self.roots[component] @ noise).squeeze(2)
