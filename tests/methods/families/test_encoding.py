"""The likelihood of a picture against torch.distributions."""

import pytest
import torch
from torch import distributions as d

from aigc.methods.families.encoding import Encoding, EncodingConfig
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
}


class Plain(Encoding):
    def updates(self, real, labels, rng):
        yield "autoencoder", self.reconstruction_loss(self.decoder(self.codes(real)), real).mean()


def build(likelihood: str) -> Plain:
    torch.manual_seed(0)
    return Plain(EncodingConfig(**CONFIG, likelihood=likelihood), Shape(1, 16, 0))


def test_bernoulli_reconstruction_loss_is_the_negative_log_likelihood() -> None:
    logits, real = torch.randn(2, 1, 16, 16), torch.randint(0, 2, (2, 1, 16, 16)) * 2.0 - 1
    expected = -d.Bernoulli(logits=logits).log_prob((real + 1) / 2).sum((1, 2, 3))
    torch.testing.assert_close(build("bernoulli").reconstruction_loss(logits, real), expected)


@pytest.mark.parametrize("deviation", [None, 0.3])
def test_gaussian_reconstruction_loss_and_its_gradient_are_those_of_the_negative_log_likelihood(
    deviation: float | None,
) -> None:
    logits, real = torch.randn(2, 1, 16, 16, requires_grad=True), torch.rand(2, 1, 16, 16) * 2 - 1
    mean = torch.tanh(logits / 2)
    # The derivative by the maximum-likelihood variance is 0, so that no gradient flows through it.
    sigma = deviation or (mean - real).square().mean().sqrt().detach()
    expected = -d.Normal(mean, sigma).log_prob(real).sum((1, 2, 3))
    loss = build("gaussian").reconstruction_loss(logits, real, deviation)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss.sum(), logits, retain_graph=True),
        torch.autograd.grad(expected.sum(), logits),
    )
