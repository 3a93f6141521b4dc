"""A Gaussian mixture that is fitted to codes after training, and sampled with the model."""

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

ALMOST_1 = 1 - 1e-6  # a draw above it could fall past the last component by rounding


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
        """Draw points, each Gaussian's standard deviations times the temperature: float32 (count, d)."""
        component = torch.multinomial(self.weights, count, replacement=True, generator=rng)
        noise = torch.randn(count, self.means.shape[1], 1, generator=rng, device=rng.device)
        return self.means[component] + temperature * (self.roots[component] @ noise).squeeze(2)

    def forward(self, uniform: Tensor, noise: Tensor) -> Tensor:
        """The points of given draws: uniform (n,) in [0, 1), normal noise (n, d) -> float32 (n, d).

        Distributed as `sample`, for programs that bring their own random numbers.
        """
        ends = self.weights.cumsum(0)
        component = (ends <= uniform.clamp(max=ALMOST_1)[:, None] * ends[-1]).sum(1)
        return self.means[component] + (self.roots[component] @ noise[:, :, None]).squeeze(2)

    def log_density(self, points: Tensor) -> Tensor:
        """The log-density of points (n, d), in nats: (n,)."""
        used = self.weights > 0
        gaussians = MultivariateNormal(self.means[used], scale_tril=self.roots[used])
        log_density: Tensor = MixtureSameFamily(Categorical(self.weights[used]), gaussians).log_prob(points)
        return log_density
