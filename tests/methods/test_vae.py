"""The VAE's two terms against torch.distributions, and what may be asked of them."""

import pytest
import torch
from torch import distributions as d

from aigc.methods import vae
from aigc.model.contract import Shape

CONFIG = {"images": 1, "batch_size": 4, "ema_halflife": 1.0, "warmup": 0.0, "decay": 0.0, "latent": 3, "width": 4, "max_width": 8,
          "learning_rate": 0.1, "trunk": "mlp", "likelihood": "bernoulli", "deviation": "learned", "beta": 1.0, "kl_warmup": 0.0,
          "free_bits": 0.0}


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
