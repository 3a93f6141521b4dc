"""Work spread over processes, results in the order of the work, whatever the number of processes."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from aigc.core import process
from aigc.core.errors import DataError

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4  # tasks a worker that may wait, so that memory does not grow with the work


def in_order(work: Callable[[T], R], tasks: Iterable[T], workers: int,
             name: Callable[[T], str]) -> Iterator[R]:
    """work(task) for each task, in order. One worker is this process.

    Raises DataError, naming the task by `name`, when a worker dies (a decoder's crash, or no memory).
    """
    if workers == 1:
        yield from map(work, tasks)
        return
    # Spawned, because a fork of a process with threads may hang.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start, (os.getpid(),))
    waiting: deque[tuple[T, Future[R]]] = deque()
    try:
        for task in tasks:
            with process.uninterrupted():  # it starts workers
                waiting.append((task, pool.submit(work, task)))
            if len(waiting) >= AHEAD * workers:
                yield waiting.popleft()[1].result()
        while waiting:
            yield waiting[0][1].result()
            waiting.popleft()
    except BrokenProcessPool:
        raise DataError(f"a worker process died at or soon after {name(waiting[0][0] if waiting else task)}; "
                        "on one CPU core (`taskset -c 0`) the last file that is read is the cause") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start(parent: int) -> None:
    process.die_with_parent()
    if os.getppid() != parent:  # it ended while this process was starting
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the pool
