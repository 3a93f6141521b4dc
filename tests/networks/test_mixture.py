"""The Gaussian mixture recovers the distribution of the points that it is fitted to."""

import numpy as np
import pytest
import torch
from scipy import stats

from aigc.networks.mixture import GaussianMixture


def test_the_mixture_recovers_the_moments_of_what_it_was_fitted_to() -> None:
    rng = torch.Generator().manual_seed(0)
    which = torch.rand(4000, generator=rng) < 0.3
    points = torch.randn(4000, 2, generator=rng) * torch.tensor([0.5, 2.0]) + torch.where(
        which[:, None], 5.0, -3.0
    )
    density = GaussianMixture(2, 2)
    density.fit(points, seed=0)
    drawn = density.sample(20_000, rng)
    torch.testing.assert_close(drawn.mean(0), points.mean(0), rtol=0, atol=0.1)
    torch.testing.assert_close(drawn.T.cov(), points.T.cov(), rtol=0.03, atol=0.2)
    assert sorted(round(weight, 1) for weight in density.weights.tolist()) == [0.3, 0.7]


def test_fewer_points_than_components_leave_the_rest_unused() -> None:
    density = GaussianMixture(8, 2)
    density.fit(torch.randn(3, 2), seed=0)
    assert (density.weights > 0).sum() == 3


def test_the_density_is_the_weighted_sum_of_the_gaussians() -> None:
    rng = torch.Generator().manual_seed(0)
    mixture = GaussianMixture(5, 3)
    mixture.fit(torch.randn(60, 3, generator=rng), seed=0)
    points = torch.randn(7, 3, generator=rng)
    weights, means, roots = (buffer.double().numpy() for buffer in
                             (mixture.weights, mixture.means, mixture.roots))
    expected = sum(weight * stats.multivariate_normal(mean, root @ root.T).pdf(points.numpy())
                   for weight, mean, root in zip(weights, means, roots, strict=True))
    assert mixture.log_density(points).numpy() == pytest.approx(np.log(expected), abs=1e-4)


def test_an_unused_component_does_not_count() -> None:
    mixture = GaussianMixture(8, 2)
    mixture.fit(torch.randn(3, 2), seed=0)
    assert mixture.log_density(torch.randn(4, 2)).isfinite().all()
