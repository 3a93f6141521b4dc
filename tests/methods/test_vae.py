"""The VAE's two terms against torch.distributions."""

import torch
from torch import distributions as d

from aigc.methods import vae
from aigc.methods.contract import Shape

CONFIG = {"images": 1, "batch_size": 4, "ema_halflife": 1.0, "warmup": 0.0, "decay": 0.0, "latent": 3, "width": 4, "max_width": 8,
          "learning_rate": 0.1, "trunk": "mlp", "beta": 1.0}


def test_kl_is_that_of_torch_distributions() -> None:
    mean, log_variance = torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    expected = d.kl_divergence(d.Normal(mean, (log_variance / 2).exp()), d.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(vae.kl(mean, log_variance), expected)


def test_bernoulli_reconstruction_is_the_negative_log_likelihood() -> None:
    built = vae.Build(vae.Config(**CONFIG, likelihood="bernoulli"), Shape(1, 16, 0))
    logits, real = torch.randn(2, 1, 16, 16), torch.randint(0, 2, (2, 1, 16, 16)) * 2.0 - 1
    expected = -d.Bernoulli(logits=logits).log_prob((real + 1) / 2).sum((1, 2, 3))
    torch.testing.assert_close(built.reconstruction(logits, real), expected)


def test_gaussian_reconstruction_is_the_negative_log_likelihood_under_the_best_variance() -> None:
    built = vae.Build(vae.Config(**CONFIG, likelihood="gaussian"), Shape(1, 16, 0))
    logits, real = torch.randn(2, 1, 16, 16), torch.rand(2, 1, 16, 16) * 2 - 1
    mean = torch.tanh(logits / 2)
    sigma = (mean - real).square().mean().sqrt()
    constant = 256 / 2 * torch.log(torch.tensor(2 * torch.pi))
    expected = -d.Normal(mean, sigma).log_prob(real).sum((1, 2, 3)) - constant
    torch.testing.assert_close(built.reconstruction(logits, real), expected)
