"""Losses, penalties and augmentation of the adversarial methods against closed forms."""

import math

import pytest
import torch
from torch import nn

from aigc.methods.families.adversarial import CRITIC_LOSSES, GENERATOR_LOSSES, Adversarial, GANLossConfig
from aigc.model.contract import Shape


def config(**changes: object) -> GANLossConfig:
    plain = {
        "images": 1,
        "batch_size": 4,
        "ema_halflife": 1.0,
        "warmup": 0.0,
        "decay": 0.0,
        "latent": 2,
        "loss": "hinge",
        "generator_lr": 0.1,
        "critic_lr": 0.1,
        "beta1": 0.0,
        "beta2": 0.9,
        "spectral_norm": False,
        "r1": 0.0,
        "r2": 0.0,
        "penalty_every": 1,
        "instance_noise": 0.0,
        "translate": 0.0,
        "cutout": 0.0,
        "brightness": 0.0,
    }
    return GANLossConfig(**{**plain, **changes})


@pytest.mark.parametrize(("loss", "critic", "generator"), [
    ("non_saturating", 2 * math.log(2), math.log(2)), ("hinge", 2.0, 0.0), ("least_squares", 0.5, 0.5),
    ("relativistic", math.log(2), math.log(2)), ("minimax", 2 * math.log(2), -math.log(2)),
])
def test_at_zero_logits_each_loss_is_its_closed_form(loss: str, critic: float, generator: float) -> None:
    zero = torch.zeros(5, dtype=torch.float64)
    assert CRITIC_LOSSES[loss](zero, zero).item() == pytest.approx(critic)
    assert GENERATOR_LOSSES[loss](zero, zero).item() == pytest.approx(generator)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("loss", "critic", "generator"),
    [
        ("non_saturating", softplus(-2) + softplus(0.5), softplus(-0.5)),
        ("minimax", softplus(-2) + softplus(0.5), -softplus(0.5)),
        ("hinge", 0 + 1.5, -0.5),
        ("least_squares", (1 + 0.25) / 2, 0.25 / 2),
        ("relativistic", softplus(-1.5), softplus(1.5)),
    ],
)
def test_a_real_logit_of_2_and_a_generated_one_of_a_half_give_the_losses_computed_by_hand(
    loss: str, critic: float, generator: float
) -> None:
    real, fake = torch.tensor([2.0], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64)
    assert CRITIC_LOSSES[loss](real, fake).item() == pytest.approx(critic)
    assert GENERATOR_LOSSES[loss](real, fake).item() == pytest.approx(generator)


@pytest.mark.parametrize("loss", CRITIC_LOSSES)
def test_the_generators_loss_falls_as_its_images_score_higher(loss: str) -> None:
    fake = torch.tensor([-0.5, 0.2], requires_grad=True)
    gradient, = torch.autograd.grad(GENERATOR_LOSSES[loss](torch.zeros(2), fake), fake)
    assert (gradient < 0).all()


def linear(**changes: object) -> tuple[Adversarial, torch.Tensor]:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(256, 1), nn.Flatten(0))
    generator = nn.Sequential(nn.Linear(2, 256), nn.Unflatten(1, (1, 16, 16)))
    return Adversarial(config(**changes), Shape(1, 16, 0), generator, critic), critic[1].weight


RNG = torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("r1", "r2"), [(3.0, 0.0), (0.0, 2.0), (3.0, 2.0)])
def test_r1_and_r2_of_a_linear_critic_are_exact(r1: float, r2: float) -> None:
    method, weight = linear(r1=r1, r2=r2)
    penalty = method.r1_r2_penalty(torch.randn(4, 1, 16, 16), torch.randn(4, 1, 16, 16), (), RNG)
    torch.testing.assert_close(penalty, (r1 + r2) / 2 * weight.square().sum())


def test_r1_is_of_real_images_and_r2_of_generated_ones() -> None:
    real, fake = torch.full((2, 1, 16, 16), 0.5), torch.zeros(2, 1, 16, 16)
    for changes, expected in (({"r1": 1.0}, 256 / 2), ({"r2": 1.0}, 0.0)):
        method, _ = linear(**changes)
        method.critic = nn.Sequential(nn.Flatten(), SumOfSquares())  # gradient 2 x
        torch.testing.assert_close(method.r1_r2_penalty(real, fake, (), RNG), torch.tensor(expected))


class SumOfSquares(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.square().sum(1)


def test_a_lazy_penalty_has_the_same_mean() -> None:
    method, weight = linear(r1=1.0, penalty_every=4)
    blank = torch.zeros(1, 1, 16, 16)
    mean = sum(method.r1_r2_penalty(blank, blank, (), RNG).item() for _ in range(800)) / 800
    assert mean == pytest.approx(weight.square().sum().item() / 2, rel=0.25)


def test_instance_noise_falls_to_0_over_the_run() -> None:
    method, _ = linear(instance_noise=0.4)
    blank = torch.zeros(50, 1, 16, 16)
    for method.progress, expected in ((0.0, 0.4), (0.5, 0.2), (1.0, 0.0)):
        assert method.augmented(blank, RNG).std().item() == pytest.approx(expected, rel=0.05)


def test_augmentation_and_instance_noise_pass_the_gradient_on() -> None:
    method, _ = linear(translate=0.125, cutout=0.25, brightness=0.2, instance_noise=0.1)
    images = torch.zeros(8, 1, 16, 16, requires_grad=True)
    gradient, = torch.autograd.grad(method.augmented(images, RNG).sum(), images)
    assert set(gradient.unique().tolist()) == {0.0, 1.0}


def test_a_gan_on_a_one_dimensional_gaussian_converges_to_it() -> None:
    """Mean 1 and standard deviation 0.5, from a generator that starts at about N(0, small)."""
    torch.manual_seed(0)
    method = Adversarial(
        config(latent=1, loss="non_saturating", r1=0.5, generator_lr=5e-3, critic_lr=5e-3), Shape(1, 1, 0),
        nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1), nn.Unflatten(1, (1, 1, 1))),
        nn.Sequential(nn.Flatten(), nn.Linear(1, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2),
                      nn.Linear(32, 1), nn.Flatten(0)))
    players = method.players()
    optimizers = {
        name: torch.optim.Adam(player.parameters, player.learning_rate, player.betas)
        for name, player in players.items()
    }
    steps = 900
    for step in range(steps):
        for optimizer in optimizers.values():
            optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
        real = 1 + 0.5 * torch.randn(128, 1, 1, 1, generator=RNG)
        for name, loss in method.updates(real, torch.full((128,), -1), RNG):
            optimizers[name].zero_grad()
            loss.backward(inputs=players[name].parameters)
            optimizers[name].step()
    drawn = method.sample(torch.full((20_000,), -1), RNG).detach()
    assert drawn.mean().item() == pytest.approx(1, abs=0.1)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.1)


def test_spectral_norm_makes_each_layer_a_contraction() -> None:
    method, _ = linear(spectral_norm=True)
    method.train()
    for _ in range(30):
        method.critic(torch.randn(2, 1, 16, 16))
    assert torch.linalg.matrix_norm(method.critic[1].weight, 2).item() == pytest.approx(1, abs=0.02)
