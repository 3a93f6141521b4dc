"""Work for a few threads, and a limit to how much of it waits."""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
WEIGHT = 0.1  # of the newest order in the mean of the seconds that one takes


class Full(Exception):
    """The queue takes no more. seconds: after which it is worth a new attempt, about."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


class Queue:
    """First come, first served, by `threads` threads. most: orders in work or waiting. length: how many there
    are now.
    """

    def __init__(self, most: int, threads: int) -> None:
        self.most, self.length, self.threads, self._seconds = most, 0, threads, 0.0
        self._pool = ThreadPoolExecutor(threads, "draw")

    async def result(self, work: Callable[[], T]) -> T:
        """What `work` returns, or raises. Raises Full, at once, where there are too many before it."""
        if self.length >= self.most:
            raise Full(math.ceil(max(1.0, self._seconds * self.length / self.threads)))
        self.length += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._timed, work)
        finally:
            self.length -= 1

    def _timed(self, work: Callable[[], T]) -> T:
        started = time.monotonic()
        try:
            return work()
        finally:
            self._seconds += WEIGHT * (time.monotonic() - started - self._seconds)

    def close(self) -> None:
        """Drop what waits; what is in work is finished."""
        self._pool.shutdown(wait=False, cancel_futures=True)
