"""The causal transformer: what a position may see, the cache, and the draw of a token."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from aigc.networks.causal import RESOLUTION, CausalTransformer, pick

CODES, LENGTH, PREFIX, WIDTH = 11, 9, 2, 16


def network(dropout: float = 0.0) -> CausalTransformer:
    """With random weights everywhere: a new one predicts the same at each position."""
    torch.manual_seed(0)
    built = CausalTransformer(CODES, LENGTH, PREFIX, WIDTH, layers=3, heads=4, dropout=dropout)
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return built


def inputs(count: int = 3) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return (torch.randn(count, PREFIX, WIDTH, generator=rng),
            torch.randint(CODES, (count, LENGTH), generator=rng))


@pytest.mark.parametrize("changed", range(LENGTH))
def test_a_later_token_changes_no_earlier_prediction_and_every_later_one(changed: int) -> None:
    built, (prefix, tokens) = network(), inputs()
    other = tokens.clone()
    other[:, changed] = (other[:, changed] + 1) % CODES
    with torch.no_grad():
        before, after = built(prefix, tokens), built(prefix, other)
    assert torch.equal(before[:, :changed + 1], after[:, :changed + 1])
    assert all((before[:, place] - after[:, place]).abs().max() > 1e-4
               for place in range(changed + 1, LENGTH))


def test_the_prefix_changes_every_prediction() -> None:
    built, (prefix, tokens) = network(), inputs()
    with torch.no_grad():
        differences = (built(prefix, tokens) - built(prefix + 1, tokens)).abs().amax((0, 2))
    assert (differences > 1e-4).all()


def test_with_the_cache_the_logits_are_those_without() -> None:
    built, (prefix, tokens) = network(), inputs()
    with torch.no_grad():
        whole = built(prefix, tokens)
        past, new = built.start(), prefix
        for place in range(LENGTH):
            torch.testing.assert_close(built.step(new, past), whole[:, place], rtol=0, atol=1e-5)
            new = built.embed(tokens[:, place])[:, None]


def test_attention_is_that_of_torch() -> None:
    block = network().blocks[0]
    joint = torch.randn(2, 7, 3 * WIDTH)
    query, key, value = joint.unflatten(2, (3, 4, -1)).permute(2, 0, 3, 1, 4)
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(block.attend(joint, None), expected.transpose(1, 2).flatten(2))


def test_dropout_acts_where_a_generator_is_given_and_draws_from_it_alone() -> None:
    built, (prefix, tokens) = network(dropout=0.5), inputs()
    with torch.no_grad():
        plain = built(prefix, tokens)
        torch.manual_seed(1)
        first = built(prefix, tokens, torch.Generator().manual_seed(0))
        torch.manual_seed(2)
        assert torch.equal(first, built(prefix, tokens, torch.Generator().manual_seed(0)))
    assert not torch.equal(first, plain)


@given(st.integers(0, 1000), st.floats(0.3, 3), st.integers(1, CODES + 3))
def test_over_all_numbers_each_token_is_picked_with_its_probability(
    seed: int, temperature: float, top_k: int
) -> None:
    logits = torch.randn(CODES, generator=torch.Generator().manual_seed(seed))
    grid = 20_000
    uniform = (torch.arange(grid) + 0.5) / grid
    tokens = pick(logits.expand(grid, -1), uniform, temperature, top_k)
    kept = logits >= logits.sort(descending=True).values[min(top_k, CODES) - 1]
    expected = (logits / temperature).masked_fill(~kept, -torch.inf).softmax(0)
    shares = torch.bincount(tokens, minlength=CODES) / grid
    torch.testing.assert_close(shares, expected, rtol=0, atol=2 / grid)
    assert not shares[~kept].any()


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("top_k", [1, 3, CODES])
def test_at_both_ends_a_possible_token_is_picked(spread: float, top_k: int) -> None:
    logits = spread * torch.linspace(-1, 1, CODES).expand(2, -1)
    first, last = pick(logits, torch.tensor([0.0, 1.0]), 1.0, top_k).tolist()
    probabilities = logits[0].softmax(0)
    assert probabilities[first] == probabilities.max()
    assert probabilities[last] >= 1 / RESOLUTION and 0 <= last < CODES
    assert top_k > 1 or first == last


def test_equal_logits_are_picked_in_the_order_of_the_codes() -> None:
    uniform = (torch.arange(CODES) + 0.5) / CODES
    assert pick(torch.zeros(CODES, CODES), uniform, 1.0, CODES).tolist() == list(range(CODES))
