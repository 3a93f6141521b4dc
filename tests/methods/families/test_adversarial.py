"""The game's rules against closed forms."""

import math

import pytest
import torch
from torch import nn

from aigc.methods.families.adversarial import CRITIC_LOSSES, GENERATOR_LOSSES, Adversarial, GameConfig
from aigc.model.contract import Shape


def config(**changes: object) -> GameConfig:
    plain = {"images": 1, "batch_size": 4, "ema_halflife": 1.0, "warmup": 0.0, "decay": 0.0, "latent": 2, "loss": "hinge",
             "generator_lr": 0.1, "critic_lr": 0.1, "beta1": 0.0, "beta2": 0.9, "spectral_norm": False, "r1": 0.0, "r2": 0.0,
             "penalty_every": 1, "instance_noise": 0.0, "translate": 0.0, "cutout": 0.0, "brightness": 0.0}
    return GameConfig(**{**plain, **changes})


@pytest.mark.parametrize(("game", "critic", "generator"), [
    ("non_saturating", 2 * math.log(2), math.log(2)), ("hinge", 2.0, 0.0), ("least_squares", 0.5, 0.5),
    ("relativistic", math.log(2), math.log(2)), ("minimax", 2 * math.log(2), -math.log(2)),
])
def test_at_zero_logits_each_loss_is_its_closed_form(game: str, critic: float, generator: float) -> None:
    zero = torch.zeros(5, dtype=torch.float64)
    assert CRITIC_LOSSES[game](zero, zero).item() == pytest.approx(critic)
    assert GENERATOR_LOSSES[game](zero, zero).item() == pytest.approx(generator)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(("game", "critic", "generator"), [
    ("non_saturating", softplus(-2) + softplus(0.5), softplus(-0.5)), ("minimax", softplus(-2) + softplus(0.5), -softplus(0.5)),
    ("hinge", 0 + 1.5, -0.5), ("least_squares", (1 + 0.25) / 2, 0.25 / 2), ("relativistic", softplus(-1.5), softplus(1.5)),
])
def test_a_real_logit_of_2_and_a_generated_one_of_a_half_give_the_losses_worked_by_hand(game: str, critic: float, generator: float) -> None:
    real, fake = torch.tensor([2.0], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64)
    assert CRITIC_LOSSES[game](real, fake).item() == pytest.approx(critic)
    assert GENERATOR_LOSSES[game](real, fake).item() == pytest.approx(generator)


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


RNG = torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("r1", "r2"), [(3.0, 0.0), (0.0, 2.0), (3.0, 2.0)])
def test_r1_and_r2_of_a_linear_critic_are_exact(r1: float, r2: float) -> None:
    game, weight = linear_game(r1=r1, r2=r2)
    penalty = game.penalty(torch.randn(4, 1, 16, 16), torch.randn(4, 1, 16, 16), (), RNG)
    torch.testing.assert_close(penalty, (r1 + r2) / 2 * weight.square().sum())


def test_r2_looks_at_generated_pictures_and_r1_at_real_ones() -> None:
    real, fake = torch.full((2, 1, 16, 16), 0.5), torch.zeros(2, 1, 16, 16)
    for changes, expected in (({"r1": 1.0}, 256 / 2), ({"r2": 1.0}, 0.0)):
        game, _ = linear_game(**changes)
        game.critic = nn.Sequential(nn.Flatten(), SumOfSquares())  # gradient 2 x
        torch.testing.assert_close(game.penalty(real, fake, (), RNG), torch.tensor(expected))


class SumOfSquares(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.square().sum(1)


def test_a_lazy_penalty_is_the_same_on_average() -> None:
    game, weight = linear_game(r1=1.0, penalty_every=4)
    blank = torch.zeros(1, 1, 16, 16)
    mean = sum(game.penalty(blank, blank, (), RNG).item() for _ in range(800)) / 800
    assert mean == pytest.approx(weight.square().sum().item() / 2, rel=0.25)


def test_instance_noise_falls_to_none_over_the_run() -> None:
    game, _ = linear_game(instance_noise=0.4)
    blank = torch.zeros(50, 1, 16, 16)
    for game.progress, expected in ((0.0, 0.4), (0.5, 0.2), (1.0, 0.0)):
        assert game.view(blank, RNG).std().item() == pytest.approx(expected, rel=0.05)


def test_what_the_critic_sees_of_a_fake_passes_the_gradient_on() -> None:
    game, _ = linear_game(translate=0.125, cutout=0.25, brightness=0.2, instance_noise=0.1)
    images = torch.zeros(8, 1, 16, 16, requires_grad=True)
    gradient, = torch.autograd.grad(game.view(images, RNG).sum(), images)
    assert set(gradient.unique().tolist()) == {0.0, 1.0}


def test_a_gan_on_a_one_dimensional_gaussian_converges_to_it() -> None:
    """Mean 1 and standard deviation 0.5, from a generator that starts at about N(0, small)."""
    torch.manual_seed(0)
    game = Adversarial(config(latent=1, loss="non_saturating", r1=0.5, generator_lr=5e-3, critic_lr=5e-3), Shape(1, 1, 0))
    game.play(nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1), nn.Unflatten(1, (1, 1, 1))),
              nn.Sequential(nn.Flatten(), nn.Linear(1, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2),
                            nn.Linear(32, 1), nn.Flatten(0)))
    players = game.players()
    optimizers = {name: torch.optim.Adam(player.parameters, player.learning_rate, player.betas) for name, player in players.items()}
    steps = 900
    for step in range(steps):
        for optimizer in optimizers.values():
            optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
        real = 1 + 0.5 * torch.randn(128, 1, 1, 1, generator=RNG)
        for name, loss in game.updates(real, torch.full((128,), -1), RNG):
            optimizers[name].zero_grad()
            loss.backward(inputs=players[name].parameters)
            optimizers[name].step()
    drawn = game.sample(torch.full((20_000,), -1), RNG).detach()
    assert drawn.mean().item() == pytest.approx(1, abs=0.1)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.1)


def test_spectral_norm_makes_each_layer_a_contraction() -> None:
    game, _ = linear_game(spectral_norm=True)
    game.train()
    for _ in range(30):
        game.critic(torch.randn(2, 1, 16, 16))
    assert torch.linalg.matrix_norm(game.critic[1].weight, 2).item() == pytest.approx(1, abs=0.02)
