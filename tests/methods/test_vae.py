"""The VAE's two terms against torch.distributions, and what may be asked of them."""

import pytest
import torch
from torch import distributions as d

from aigc.methods import vae
from aigc.model.contract import Shape

CONFIG = {
    "images": 1,
    "batch_size": 4,
    "ema_halflife": 1.0,
    "warmup": 0.0,
    "decay": 0.0,
    "latent": 3,
    "width": 4,
    "max_width": 8,
    "learning_rate": 0.1,
    "trunk": "mlp",
    "likelihood": "bernoulli",
    "deviation": "learned",
    "beta": 1.0,
    "kl_warmup": 0.0,
    "free_bits": 0.0,
    "components": 0,
}


def build(**changes: object) -> vae.VAE:
    torch.manual_seed(0)
    return vae.VAE(vae.VAEConfig(**{**CONFIG, **changes}), Shape(1, 16, 0))


def test_kl_is_that_of_torch_distributions() -> None:
    mean, log_variance = torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    expected = d.kl_divergence(d.Normal(mean, (log_variance / 2).exp()), d.Normal(0.0, 1.0))
    torch.testing.assert_close(vae.kl(mean, log_variance), expected)


def loss_of(built: vae.VAE, real: torch.Tensor) -> float:
    (_, loss), = built.updates(real, torch.full((len(real),), -1), torch.Generator().manual_seed(0))
    return loss.item()


def test_the_price_of_the_latents_rises_over_the_warm_up() -> None:
    built = build(beta=3.0, kl_warmup=0.5)
    found = []
    for built.progress in (0.0, 0.25, 0.5, 0.9):
        found.append(built.beta())
    assert found == [0.0, 1.5, 3.0, 3.0]
    assert build(beta=3.0).beta() == 3.0


def test_free_bits_are_the_least_that_a_dimension_costs() -> None:
    real = torch.zeros(4, 1, 16, 16)
    without, free = loss_of(build(beta=0.0), real), loss_of(build(free_bits=2.0), real)
    built = build()
    spent = vae.kl(*built.posterior(real)).mean(0)
    assert (spent < 2).all()
    assert free - without == pytest.approx(3 * 2.0, rel=1e-4)


def test_reconstruction_decodes_the_mean_code() -> None:
    built, real = build(), torch.randn(2, 1, 16, 16)
    expected = built.decode(built.posterior(real)[0], torch.tensor([-1, -1]))
    torch.testing.assert_close(built.reconstruct(real), expected)


def elbo(built: vae.VAE, real: torch.Tensor) -> float:
    measures = built.own_measures(real, torch.full((len(real),), -1), torch.Generator().manual_seed(0))
    return measures["elbo"].mean().item()


def test_without_components_latents_are_standard_normal() -> None:
    built = build()
    built.fit_after_training([torch.zeros(4, 1, 16, 16)], seed=0)
    drawn = built.latents(5, torch.Generator().manual_seed(0), temperature=0.5)
    torch.testing.assert_close(drawn, 0.5 * torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))


def test_the_fitted_prior_follows_the_codes_and_raises_the_elbo() -> None:
    rng = torch.Generator().manual_seed(0)
    real = torch.rand(400, 1, 16, 16, generator=rng) * 2 - 1
    standard, fitted = build(), build(components=2)
    for built in (standard, fitted):  # codes far from N(0, I)
        torch.nn.init.constant_(built.encoder[-1][-1].bias, 1.5)
    with torch.no_grad():
        fitted.fit_after_training(real.split(100), seed=0)
        codes = vae.draw(*fitted.posterior(real), rng)
        drawn = fitted.latents(4000, rng)
        torch.testing.assert_close(drawn.mean(0), codes.mean(0), rtol=0, atol=0.3)
        assert elbo(fitted, real) > elbo(standard, real) + 1


def test_the_elbo_is_a_bound_with_either_prior() -> None:
    """With one latent of a decoder that ignores it, log p(x) is the decoder's own."""
    real = torch.rand(50, 1, 16, 16) * 2 - 1
    for components in (0, 2):
        built = build(components=components)
        with torch.no_grad():
            built.decoder[0][-1].weight.zero_()
            built.fit_after_training([real], seed=0)
            exact = -built.reconstruction_loss(built.decoder(torch.zeros(50, 3)), real).mean().item()
            many = torch.tensor([elbo(built, real) for _ in range(3)]).mean().item()
        assert many <= exact + 0.5
