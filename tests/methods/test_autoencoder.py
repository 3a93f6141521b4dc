"""The density fitted to the codes is the law of the codes."""

import torch

from aigc.methods.autoencoder import Mixture


def test_the_mixture_recovers_the_moments_of_what_it_was_fitted_to() -> None:
    rng = torch.Generator().manual_seed(0)
    which = torch.rand(4000, generator=rng) < 0.3
    points = torch.randn(4000, 2, generator=rng) * torch.tensor([0.5, 2.0]) + torch.where(which[:, None], 5.0, -3.0)
    density = Mixture(2, 2)
    density.fit(points, seed=0)
    drawn = density.sample(20_000, rng)
    torch.testing.assert_close(drawn.mean(0), points.mean(0), rtol=0, atol=0.1)
    torch.testing.assert_close(drawn.T.cov(), points.T.cov(), rtol=0.03, atol=0.2)
    assert sorted(round(weight, 1) for weight in density.weights.tolist()) == [0.3, 0.7]


def test_fewer_points_than_components_leave_the_rest_unused() -> None:
    density = Mixture(8, 2)
    density.fit(torch.randn(3, 2), seed=0)
    assert (density.weights > 0).sum() == 3
