"""The penalty of a linear critic is exact, and the critic steps on fresh batches."""

import torch
from torch import nn

from aigc.methods import wgan_gp
from aigc.methods.contract import Shape


def build(n_critic: int = 3) -> wgan_gp.Build:
    chosen = wgan_gp.Config(images=1, batch_size=4, ema_halflife=1.0, warmup=0.0, decay=0.0, latent=2, width=4, max_width=8,
                            generator_hidden=0, critic_hidden=4,
                            generator_lr=0.1, critic_lr=0.1, beta1=0.0, beta2=0.9, n_critic=n_critic, gradient_penalty=10.0,
                            spectral_norm=False, r1=0.0, r2=0.0, penalty_every=1, instance_noise=0.0, translate=0.0, cutout=0.0,
                            brightness=0.0)
    return wgan_gp.Build(chosen, Shape(1, 16, 0))


def test_the_penalty_of_a_linear_critic_is_its_distance_from_slope_one() -> None:
    game = build()
    linear = nn.Linear(256, 1)
    game.critic = nn.Sequential(nn.Flatten(), linear)
    found = game.off_slope_one(torch.randn(5, 1, 16, 16), torch.randn(5, 1, 16, 16), torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, 10 * (linear.weight.norm() - 1) ** 2)


def test_the_critic_moves_n_critic_times_on_different_pictures_before_the_generator() -> None:
    game = build()
    real = torch.randn(12, 1, 16, 16)
    assert game.reals_per_update == 3
    players = [player for player, _ in game.updates(real, torch.zeros(12, dtype=torch.int64), torch.Generator().manual_seed(0))]
    assert players == ["critic"] * 3 + ["generator"]
