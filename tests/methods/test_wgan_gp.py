"""The losses and the penalty of a linear critic are exact, and the order of steps is the paper's."""

import torch
from torch import nn

from aigc.methods import wgan_gp
from aigc.model.contract import Shape


def build(n_critic: int = 3) -> wgan_gp.WGANGP:
    settings = wgan_gp.WGANGPConfig(
        images=1, batch_size=4, ema_halflife=1.0, warmup=0.0, decay=0.0, latent=2, width=4, max_width=8,
        generator_hidden=0, critic_hidden=4, generator_lr=0.1, critic_lr=0.1, beta1=0.0, beta2=0.9,
        n_critic=n_critic, gradient_penalty=10.0, spectral_norm=False, r1=0.0, r2=0.0, penalty_every=1,
        instance_noise=0.0, translate=0.0, cutout=0.0, brightness=0.0)
    return wgan_gp.WGANGP(settings, Shape(1, 16, 0))


def test_the_penalty_of_a_linear_critic_is_the_squared_distance_of_its_gradient_norm_from_1() -> None:
    method = build()
    linear = nn.Linear(256, 1)
    method.critic = nn.Sequential(nn.Flatten(), linear)
    rng = torch.Generator().manual_seed(0)
    penalty = method.gradient_penalty(torch.randn(5, 1, 16, 16), torch.randn(5, 1, 16, 16), rng, rng)
    torch.testing.assert_close(penalty, 10 * (linear.weight.norm() - 1) ** 2)


def test_losses_are_differences_of_mean_scores_with_the_signs_of_the_paper() -> None:
    method = build(n_critic=1)
    method.critic = nn.Sequential(nn.Flatten(), nn.Linear(256, 1, bias=False), nn.Flatten(0))
    nn.init.constant_(method.critic[1].weight, 1 / 16)  # a gradient of norm 1, so no penalty
    method.generator = nn.Sequential(nn.Linear(2, 256), nn.Unflatten(1, (1, 16, 16)))
    nn.init.zeros_(method.generator[0].weight)
    nn.init.constant_(method.generator[0].bias, 0.25)
    real, labels = torch.full((4, 1, 16, 16), 0.5), torch.zeros(4, dtype=torch.int64)
    updates = list(method.updates(real, labels, torch.Generator().manual_seed(0)))
    assert [player for player, _ in updates] == ["critic", "generator"]
    expected = torch.tensor([16 * (0.25 - 0.5), -16 * 0.25])  # a score is 16 times the mean pixel
    torch.testing.assert_close(torch.stack([loss for _, loss in updates]), expected)


def test_the_critic_takes_n_critic_steps_before_the_generator_takes_one() -> None:
    method = build()
    real, labels = torch.randn(12, 1, 16, 16), torch.zeros(12, dtype=torch.int64)
    assert method.batches_per_update == 3
    players = [player for player, _ in method.updates(real, labels, torch.Generator().manual_seed(0))]
    assert players == ["critic"] * 3 + ["generator"]
