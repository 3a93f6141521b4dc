"""The penalty of a linear critic is exact, and the critic steps on fresh batches."""

import torch
from torch import nn

from aigc.methods import wgan_gp
from aigc.model.contract import Shape


def build(n_critic: int = 3) -> wgan_gp.WGANGP:
    chosen = wgan_gp.WGANGPConfig(
        images=1, batch_size=4, ema_halflife=1.0, warmup=0.0, decay=0.0, latent=2, width=4, max_width=8,
        generator_hidden=0, critic_hidden=4, generator_lr=0.1, critic_lr=0.1, beta1=0.0, beta2=0.9,
        n_critic=n_critic, gradient_penalty=10.0, spectral_norm=False, r1=0.0, r2=0.0, penalty_every=1,
        instance_noise=0.0, translate=0.0, cutout=0.0, brightness=0.0)
    return wgan_gp.WGANGP(chosen, Shape(1, 16, 0))


def test_the_penalty_of_a_linear_critic_is_its_distance_from_slope_one() -> None:
    game = build()
    linear = nn.Linear(256, 1)
    game.critic = nn.Sequential(nn.Flatten(), linear)
    found = game.off_slope_one(torch.randn(5, 1, 16, 16), torch.randn(5, 1, 16, 16), torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, 10 * (linear.weight.norm() - 1) ** 2)


def test_losses_are_differences_of_mean_scores_with_the_signs_of_the_paper() -> None:
    game = build(n_critic=1)
    game.critic = nn.Sequential(nn.Flatten(), nn.Linear(256, 1, bias=False), nn.Flatten(0))
    nn.init.constant_(game.critic[1].weight, 1 / 16)  # of slope one: no penalty, and a score of 16 times the mean pixel
    game.generator = nn.Sequential(nn.Linear(2, 256), nn.Unflatten(1, (1, 16, 16)))
    nn.init.zeros_(game.generator[0].weight)
    nn.init.constant_(game.generator[0].bias, 0.25)
    updates = list(game.updates(torch.full((4, 1, 16, 16), 0.5), torch.zeros(4, dtype=torch.int64), torch.Generator().manual_seed(0)))
    assert [player for player, _ in updates] == ["critic", "generator"]
    torch.testing.assert_close(torch.stack([loss for _, loss in updates]), torch.tensor([16 * (0.25 - 0.5), -16 * 0.25]))


def test_the_critic_moves_n_critic_times_on_different_pictures_before_the_generator() -> None:
    game = build()
    real = torch.randn(12, 1, 16, 16)
    assert game.reals_per_update == 3
    players = [player for player, _ in game.updates(real, torch.zeros(12, dtype=torch.int64), torch.Generator().manual_seed(0))]
    assert players == ["critic"] * 3 + ["generator"]
