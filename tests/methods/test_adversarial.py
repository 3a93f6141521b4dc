"""The game's rules against closed forms."""

import math

import pytest
import torch
from torch import nn

from aigc.methods.adversarial import CRITIC_LOSSES, GENERATOR_LOSSES, Adversarial, AdversarialConfig
from aigc.methods.contract import Shape


def config(**changes: object) -> AdversarialConfig:
    plain = {"images": 1, "batch_size": 4, "ema_halflife": 1.0, "warmup": 0.0, "decay": 0.0, "latent": 2, "loss": "hinge",
             "generator_lr": 0.1, "critic_lr": 0.1, "beta1": 0.0, "beta2": 0.9, "spectral_norm": False, "r1": 0.0,
             "r1_every": 1, "translate": 0.0}
    return AdversarialConfig(**{**plain, **changes})


@pytest.mark.parametrize(("game", "critic", "generator"), [
    ("non_saturating", 2 * math.log(2), math.log(2)), ("hinge", 2.0, 0.0), ("least_squares", 0.5, 0.5),
    ("relativistic", math.log(2), math.log(2)),
])
def test_at_zero_logits_each_loss_is_its_closed_form(game: str, critic: float, generator: float) -> None:
    zero = torch.zeros(5, dtype=torch.float64)
    assert CRITIC_LOSSES[game](zero, zero).item() == pytest.approx(critic)
    assert GENERATOR_LOSSES[game](zero, zero).item() == pytest.approx(generator)


@pytest.mark.parametrize("game", CRITIC_LOSSES)
def test_the_generator_gains_what_makes_its_pictures_look_real(game: str) -> None:
    fake = torch.tensor([-0.5, 0.2], requires_grad=True)
    gradient, = torch.autograd.grad(GENERATOR_LOSSES[game](torch.zeros(2), fake), fake)
    assert (gradient < 0).all()


def linear_game(**changes: object) -> tuple[Adversarial, torch.Tensor]:
    game = Adversarial(config(**changes), Shape(1, 16, 0))
    critic = nn.Sequential(nn.Flatten(), nn.Linear(256, 1), nn.Flatten(0))
    game.play(nn.Sequential(nn.Linear(2, 256), nn.Unflatten(1, (1, 16, 16))), critic)
    return game, critic[1].weight


def test_r1_of_a_linear_critic_is_exact() -> None:
    game, weight = linear_game(r1=3.0)
    penalty = game.gradient_penalty(torch.randn(4, 1, 16, 16), (), torch.Generator().manual_seed(0))
    torch.testing.assert_close(penalty, 3.0 / 2 * weight.square().sum())


def test_a_lazy_penalty_is_the_same_on_average() -> None:
    game, weight = linear_game(r1=1.0, r1_every=4)
    rng = torch.Generator().manual_seed(0)
    mean = sum(game.gradient_penalty(torch.zeros(1, 1, 16, 16), (), rng).item() for _ in range(800)) / 800
    assert mean == pytest.approx(weight.square().sum().item() / 2, rel=0.25)


def test_augmentation_shifts_within_reach_fills_with_background_and_passes_gradients() -> None:
    game, _ = linear_game(translate=0.125)
    images = -torch.ones(64, 1, 16, 16)
    images[:, :, 8, 8] = 1
    images.requires_grad_()
    moved = game.augment(images, torch.Generator().manual_seed(0))
    places = (moved[:, 0] == 1).nonzero()
    assert len(places) == 64
    assert (places[:, 1:] - 8).abs().max() == 2
    assert moved.unique().tolist() == [-1, 1]
    assert torch.autograd.grad(moved.sum(), images)[0].abs().sum() > 0


def test_spectral_norm_makes_each_layer_a_contraction() -> None:
    game, _ = linear_game(spectral_norm=True)
    game.train()
    for _ in range(30):
        game.critic(torch.randn(2, 1, 16, 16))
    assert torch.linalg.matrix_norm(game.critic[1].weight, 2).item() == pytest.approx(1, abs=0.02)
