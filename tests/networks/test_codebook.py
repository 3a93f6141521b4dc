"""The codebook's moving averages against a loop, and the restart of dead codes."""

import copy

import pytest
import torch
from torch import Tensor

from aigc.networks.codebook import DEAD, RESTARTED, Codebook, unit

DECAY = 0.9


def directions(*degrees: float) -> Tensor:
    """Vectors of length 1 in the plane."""
    angles = torch.tensor(degrees).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], 1)


def test_the_nearest_code_is_that_of_the_smallest_euclidean_distance() -> None:
    torch.manual_seed(0)
    book, vectors = Codebook(16, 5, DECAY), unit(torch.randn(200, 5))
    assert torch.equal(book(vectors), torch.cdist(vectors, book.codes).argmin(1))


def test_codes_follow_the_moving_averages_of_a_loop() -> None:
    torch.manual_seed(0)
    book, rng = Codebook(4, 3, DECAY), torch.Generator().manual_seed(0)
    centres = unit(torch.randn(4, 3))
    book.codes.copy_(centres)
    book.counts.fill_(25.0)
    book.sums.copy_(25.0 * centres)
    counts, sums = [25.0] * 4, [[25.0 * float(value) for value in centre] for centre in centres]
    for _ in range(20):
        vectors = unit(centres[torch.randint(4, (100,), generator=rng)]
                       + 0.3 * torch.randn(100, 3, generator=rng))
        tokens = book(vectors)
        book.learn(vectors, tokens, rng)
        for code in range(4):
            mine = [vector for vector, token in zip(vectors.tolist(), tokens.tolist(), strict=True)
                    if token == code]
            counts[code] = DECAY * counts[code] + (1 - DECAY) * len(mine)
            for axis in range(3):
                total = sum(vector[axis] for vector in mine)
                sums[code][axis] = DECAY * sums[code][axis] + (1 - DECAY) * total
    expected = [[value / sum(v * v for v in total) ** 0.5 for value in total] for total in sums]
    torch.testing.assert_close(book.counts, torch.tensor(counts), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(book.codes, torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_a_dead_code_restarts_at_a_vector_of_the_batch_and_the_others_stay() -> None:
    book = Codebook(3, 2, DECAY)
    book.codes.copy_(directions(0, 10, 180))  # no vector is near 180 degrees
    even = 100 / 3
    book.counts.copy_(torch.tensor([even, even, DEAD * even]))
    book.sums.copy_(book.codes * book.counts[:, None])
    vectors = directions(*[0.0] * 40, *[10.0] * 40, *[80.0] * 20)
    book.learn(vectors, book(vectors), torch.Generator().manual_seed(0))
    assert book.counts[2].item() == pytest.approx(RESTARTED * even)
    assert (vectors @ book.codes[2]).max().item() == pytest.approx(1, abs=1e-5)
    assert book.codes[0] @ directions(0)[0] > 0.999
    for _ in range(60):
        book.learn(vectors, book(vectors), torch.Generator().manual_seed(1))
    assert sorted(book(directions(0, 10, 80)).tolist()) == [0, 1, 2]


def test_a_restart_goes_to_what_is_far_from_its_code_not_to_what_is_frequent() -> None:
    book = Codebook(2, 2, DECAY)
    book.codes.copy_(directions(0, 180))
    book.counts.copy_(torch.tensor([50.0, 0.0]))
    book.sums.copy_(book.codes * 50)
    vectors = directions(*[1.0] * 60, *[50.0] * 40)  # 60% lie at the code that is used
    for seed in range(20):
        learned = copy.deepcopy(book)
        learned.learn(vectors, learned(vectors), torch.Generator().manual_seed(seed))
        assert learned.codes[1] @ directions(50.0)[0] > 0.999


def test_without_a_restart_the_planted_code_would_stay_dead() -> None:
    """The control of the test above: the same start with the other codes' averages alone."""
    book = Codebook(3, 2, DECAY)
    book.codes.copy_(directions(0, 10, 180))
    vectors = directions(*[0.0] * 40, *[10.0] * 40, *[80.0] * 20)
    assert 2 not in book(vectors)


def test_the_first_batch_sets_all_codes_and_many_codes_are_used() -> None:
    torch.manual_seed(0)
    book = Codebook(32, 4, DECAY)
    # All on one side, as those of a new encoder.
    vectors = unit(torch.tensor([5.0, 0, 0, 0]) + torch.randn(1000, 4))
    for step in range(40):
        book.learn(vectors, book(vectors), torch.Generator().manual_seed(step))
    assert len(book(vectors).unique()) == 32


def test_learning_draws_from_the_given_generator_alone() -> None:
    found = []
    for seed in (1, 2):
        torch.manual_seed(0)
        book, vectors = Codebook(8, 4, DECAY), unit(torch.randn(50, 4))
        torch.manual_seed(seed)
        book.learn(vectors, book(vectors), torch.Generator().manual_seed(7))
        found.append(book.codes)
    assert torch.equal(*found)


def test_in_low_precision_the_tokens_are_those_of_full_precision() -> None:
    torch.manual_seed(0)
    book, vectors = Codebook(64, 8, DECAY), unit(torch.randn(500, 8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = book(vectors)
    assert torch.equal(low, book(vectors))
