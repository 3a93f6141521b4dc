"""Work in several processes: results in order, and a worker that dies is an error with a name."""

import os

import pytest

from aigc.core.errors import DataError
from aigc.data import workers


def dies_at_seven(number: int) -> int:
    if number == 7:
        os._exit(1)
    return number


def test_a_worker_that_dies_is_an_error_that_says_where() -> None:
    with pytest.raises(DataError, match="a worker process died at or soon after task"):
        list(workers.in_order(dies_at_seven, range(20), 2, lambda number: f"task {number}"))
