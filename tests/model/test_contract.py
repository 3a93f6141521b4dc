"""Latents: the way between two of them, and their temperature."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from aigc.model.contract import slerp


@given(st.integers(0, 1000), st.floats(0, 1))
def test_the_way_between_two_directions_stays_on_their_sphere_and_turns_evenly(
    seed: int, share: float
) -> None:
    a, b = torch.nn.functional.normalize(
        torch.randn(2, 1, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)), dim=2
    )
    found = slerp(a, b, torch.tensor([share]))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(1, dtype=torch.float64))
    whole, part = torch.arccos((a * b).sum()), torch.arccos((a * found).sum().clamp(-1, 1))
    torch.testing.assert_close(part, share * whole, rtol=0, atol=1e-6)


def test_the_way_between_a_latent_and_itself_is_that_latent() -> None:
    z = torch.randn(3, 1, 4, 4)
    torch.testing.assert_close(slerp(z, z, torch.tensor([0.0, 0.4, 1.0])), z)
