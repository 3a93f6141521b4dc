"""Draws are a function of seed, purpose and step."""

from types import SimpleNamespace

import torch

from aigc.core import randomness
from aigc.core.randomness import Purpose


def test_streams_of_one_purpose_never_meet() -> None:
    seeds = [randomness.stream_seed(0, Purpose.TRAIN, step, of="gan") for step in range(10_000)]
    assert len(set(seeds)) == 10_000
    assert (
        len(
            {
                randomness.stream_seed(0, Purpose.TRAIN, 1, of="gan"),
                randomness.stream_seed(0, Purpose.SAMPLE, 1),
                randomness.stream_seed(1, Purpose.SAMPLE, 1),
            }
        )
        == 3
    )


def test_any_part_of_the_order_can_be_asked_for() -> None:
    whole = randomness.Order(7, 0).indices(0, 50)
    assert sorted(whole[:7].tolist()) == list(range(7)) == sorted(whole[7:14].tolist())
    assert whole[:7].tolist() != whole[7:14].tolist()
    order = randomness.Order(7, 0)
    for start, length in ((20, 3), (0, 1), (13, 15), (2, 40)):
        assert torch.equal(order.indices(start, length), whole[start:start + length])


def test_draws_that_python_reads_come_from_the_generator_itself_on_the_cpu_and_never_from_a_gpu() -> None:
    on_cpu = torch.Generator().manual_seed(3)
    assert randomness.on_host(on_cpu) is on_cpu
    on_gpu = SimpleNamespace(device=torch.device("cuda"), initial_seed=lambda: 3)
    host_rng = randomness.on_host(on_gpu)  # type: ignore[arg-type]
    assert host_rng.device.type == "cpu"
    assert torch.equal(torch.rand(5, generator=host_rng), torch.rand(5, generator=on_cpu))
