"""The solvers, given the exact velocity of a known law, arrive at that law; guidance is linear in the velocity."""

import pytest
import torch
from torch import Tensor

from aigc.methods import flow
from aigc.model.contract import Shape

CENTRES, SPREAD = torch.tensor([-0.6, 0.5]), 0.1


def build(classes: int = 0, **changes: object) -> flow.FlowMatching:
    plain = {"images": 1, "batch_size": 4, "ema_halflife": 1.0, "warmup": 0.0, "decay": 0.0, "learning_rate": 0.1, "width": 8,
             "label_dropout": 0.1, "guidance": 1.0, "steps": 50, "solver": "heun"}
    return flow.FlowMatching(flow.FlowMatchingConfig(**{**plain, **changes}), Shape(1, 16, classes))


def exact_velocity(x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
    """E[x_1 - x_0 | x_t = x] when each pixel of x_1 is drawn from an even mixture of two Gaussians."""
    t = t[:, None, None, None, None]
    variance = (1 - t) ** 2 + t**2 * SPREAD**2
    residual = x[..., None] - t * CENTRES
    weights = (-(residual**2) / (2 * variance)).softmax(-1)
    velocity = CENTRES + (t * SPREAD**2 - (1 - t)) / variance * residual
    return (weights * velocity).sum(-1)


@pytest.mark.parametrize(("solver", "steps"), [("heun", 50), ("euler", 200)])
def test_samples_have_the_moments_of_the_mixture(solver: str, steps: int) -> None:
    method = build(solver=solver, steps=steps)
    del method.velocity
    method.velocity = exact_velocity
    pixels = method.sample(torch.full((100,), -1), torch.Generator().manual_seed(0)).flatten()
    assert pixels.mean().item() == pytest.approx(-0.05, abs=0.02)
    assert pixels.var().item() == pytest.approx(0.55**2 + SPREAD**2, rel=0.03)
    assert ((pixels > 0).float().mean().item()) == pytest.approx(0.5, abs=0.02)


def test_an_untrained_flow_predicts_no_motion_and_its_loss_is_that_of_the_data() -> None:
    method = build()
    real = torch.zeros(2000, 1, 16, 16)
    (player, loss), = method.updates(real, torch.full((2000,), -1), torch.Generator().manual_seed(0))
    assert player == "velocity"
    assert loss.item() == pytest.approx(1, abs=0.02)  # E|x_0|^2 a pixel


def test_guidance_extrapolates_from_no_class_towards_the_class() -> None:
    method = build(classes=10, guidance=3.0)
    torch.nn.init.normal_(method.velocity.end[-1].weight)
    x, labels = torch.randn(2, 1, 16, 16), torch.tensor([3, 4])
    time = torch.full((2,), 0.5)
    towards, free = method.velocity(x, time, labels), method.velocity(x, time, torch.tensor([10, 10]))
    torch.testing.assert_close(method.guided(x, 0.5, labels), free + 3 * (towards - free), rtol=1e-4, atol=1e-5)


def test_the_velocity_of_patches_that_hold_more_numbers_than_the_network_has_channels_can_point_anywhere() -> None:
    torch.manual_seed(0)
    network = flow.UNet(3, 64, 16, 0)
    for weights in network.end[-1].weight, network.past.weight, network.past.bias:
        torch.nn.init.normal_(weights)
    velocity = network(torch.randn(2, 3, 64, 64), torch.rand(2), torch.tensor([-1, -1]))
    patches = torch.nn.functional.pixel_unshuffle(velocity, network.patch).transpose(0, 1).flatten(1)
    assert torch.linalg.matrix_rank(patches) == 3 * network.patch**2 > 16


def test_a_trained_flow_recovers_the_moments_of_a_two_dimensional_mixture() -> None:
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    method = build(steps=20)
    method.latent_shape, method.velocity = (1, 1, 2), Perceptron()
    optimizer, steps = torch.optim.Adam(method.velocity.parameters(), 5e-3), 600

    def mixture(count: int) -> Tensor:
        centre = torch.tensor([[-0.7, 0.3], [0.6, -0.2]])[torch.randint(0, 2, (count,), generator=rng)]
        return (centre + torch.randn(count, 2, generator=rng) * torch.tensor([0.1, 0.2])).view(count, 1, 1, 2)

    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
        (_, loss), = method.updates(mixture(256), torch.full((256,), -1), rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    drawn, real = method.sample(torch.full((20_000,), -1), rng).detach().flatten(1), mixture(20_000).flatten(1)
    torch.testing.assert_close(drawn.mean(0), real.mean(0), rtol=0, atol=0.05)
    torch.testing.assert_close(drawn.T.cov(), real.T.cov(), rtol=0, atol=0.05)
    assert (drawn[:, 0] > 0).float().mean().item() == pytest.approx(0.5, abs=0.05)


class Perceptron(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 64), torch.nn.SiLU(), torch.nn.Linear(64, 64), torch.nn.SiLU(),
                                          torch.nn.Linear(64, 2))

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        return self.layers(torch.cat([x.flatten(1), t[:, None]], 1)).view_as(x)
