"""The loss of the autoencoder in closed form."""

import math

import torch

from aigc.methods import autoencoder
from aigc.model.contract import Shape


def test_the_loss_is_the_likelihood_of_the_picture_and_the_weighted_square_of_its_codes() -> None:
    settings = autoencoder.AutoencoderConfig(
        images=1, batch_size=4, ema_halflife=1.0, warmup=0.0, decay=0.0, latent=3, width=4, max_width=8,
        learning_rate=0.1, trunk="mlp", likelihood="bernoulli", decay_codes=0.5, noise=0.3, components=2)
    built = autoencoder.Autoencoder(settings, Shape(1, 16, 0))
    for parameter in built.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.constant_(
        built.encoder[-1][-1].bias, 2.0
    )  # every code is (2, 2, 2); every pixel is black or white, as likely
    ((player, loss),) = built.updates(
        torch.rand(4, 1, 16, 16) * 2 - 1, torch.full((4,), -1), torch.Generator().manual_seed(0)
    )
    assert player == "autoencoder"
    torch.testing.assert_close(loss, torch.tensor(256 * math.log(2) + 0.5 * 3 * 2.0**2 / 2))
