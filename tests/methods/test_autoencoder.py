"""The density fitted to the codes is the law of the codes."""

import math

import torch

from aigc.methods import autoencoder
from aigc.methods.autoencoder import Mixture
from aigc.model.contract import Shape


def test_the_loss_is_the_likelihood_of_the_picture_and_the_weighted_square_of_its_codes() -> None:
    chosen = autoencoder.AutoencoderConfig(
        images=1, batch_size=4, ema_halflife=1.0, warmup=0.0, decay=0.0, latent=3, width=4, max_width=8,
        learning_rate=0.1, trunk="mlp", likelihood="bernoulli", decay_codes=0.5, noise=0.3, components=2)
    built = autoencoder.Autoencoder(chosen, Shape(1, 16, 0))
    for parameter in built.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.constant_(built.encoder[-1][-1].bias, 2.0)  # every code is (2, 2, 2); every pixel is black or white, as likely
    (player, loss), = built.updates(torch.rand(4, 1, 16, 16) * 2 - 1, torch.full((4,), -1), torch.Generator().manual_seed(0))
    assert player == "autoencoder"
    torch.testing.assert_close(loss, torch.tensor(256 * math.log(2) + 0.5 * 3 * 2.0**2 / 2))


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
