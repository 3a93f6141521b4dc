"""Blocks of work that the processes of a stage share: who computes a block changes no byte.

Within `processes`, block i of `in_order` is computed by process i mod N, of which the first is the stage's
own. Not for trainings (training/parallel.py), nor for the files of a source (data/workers.py). Imports
nothing numeric: the others are started before the stage loads numpy, and load it while the stage does.
"""

import functools
import io
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from aigc.core import cuda, process, runtime
from aigc.core.errors import AigcError, ConfigError, is_out_of_memory

T = TypeVar("T")
R = TypeVar("R")
DEVICES = "AIGC_DEVICES"  # environment variable: the processes of a stage on this host; default 1
STAGES = ("generate", "reference", "evaluate")  # that `processes` shares; `train` has shards

_others: list[tuple[BaseProcess, Connection]] = []  # the processes that help this one


def processes_here() -> int:
    """The processes of a stage on this host, from the environment. Raises ConfigError."""
    text = os.environ.get(DEVICES, "1")
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{DEVICES}={text}: must be a number of processes, 1 or more")
    return int(text)


def in_order(work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
    """work(task) for each task, in order, as `map`; shared where there are other processes.

    Each of these has one task at a time, so memory does not grow with the tasks. `work`, tasks and results
    are pickled: what has a model answers `__reduce__` by `opened`. Take all results before the next call.
    """
    if not _others:
        yield from map(work, tasks)
        return
    waiting: deque[tuple[int, T]] = deque()
    for number, task in enumerate(tasks):
        rank = number % (1 + len(_others))
        ready = [_result(work, *waiting.popleft())] if len(waiting) > len(_others) else []
        if rank:
            with _contact():
                _others[rank - 1][1].send((work if number == rank else None, task))
        waiting.append((rank, task))
        yield from ready
    while waiting:
        yield _result(work, *waiting.popleft())


def _result(work: Callable[[T], R], rank: int, task: T) -> R:
    if rank == 0:
        return work(task)
    with _contact():
        answer = _others[rank - 1][1].recv()
    if isinstance(answer, Exception):
        raise answer
    return answer


@functools.cache
def opened(kind: Callable[..., T], *arguments: Hashable) -> T:
    """kind(*arguments), once in this process: what a model is pickled as, so that it comes from its files."""
    return kind(*arguments)


@contextmanager
def processes(count: int, arithmetic: runtime.Arithmetic, threads: int) -> Iterator[None]:
    """Within the block `count` processes, this one included, share the work of `in_order`.

    Call after `runtime.cap_environment`, in the main thread. Raises AigcError, at whatever instant, when one
    of the others ends. All end with this one, however it ends.
    """
    if count == 1:
        yield
        return
    if arithmetic == "fast":
        cuda.check_processes(count, DEVICES)
    previous = signal.signal(signal.SIGCHLD, lambda *_: _refuse_ended())
    try:
        for rank in range(1, count):
            with process.uninterrupted(), _without_interrupt():
                _start(rank, arithmetic, threads)
        yield
    finally:
        signal.signal(signal.SIGCHLD, previous)
        for child, link in _others:
            child.kill()  # it has nothing to save
            link.close()
        for child, _ in _others:
            child.join()
        _others.clear()


def _start(rank: int, arithmetic: runtime.Arithmetic, threads: int) -> None:
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    here, there = context.Pipe()
    child = context.Process(target=_serve, args=(there, os.getpid(), rank, arithmetic, threads),
                            name=f"process {rank}", daemon=True)
    child.start()
    _others.append((child, here))
    there.close()


@contextmanager
def _without_interrupt() -> Iterator[None]:
    """A process that starts in the block never gets SIGINT: at Ctrl-C the stage ends it. This one waits."""
    resource_tracker.ensure_running()  # its start would unblock the signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def _contact() -> Iterator[None]:
    """Turn what a pipe raises, whose other end is gone, into the reason."""
    try:
        yield
    except (EOFError, ConnectionError) as error:
        ended = wait([child.sentinel for child, _ in _others], process.GRACE_SECONDS)
        for child, _ in _others:
            if child.sentinel in ended:
                child.join(process.GRACE_SECONDS)  # its files are closed before its exit code is there
        _refuse_ended()
        raise AigcError("lost contact with a process of this stage; run again") from error


def _refuse_ended() -> None:
    """Raises AigcError where a process has ended."""
    for child, _ in _others:
        if (code := child.exitcode) is not None:
            how = (f"was ended by {signal.Signals(-code).name}; run again" if code < 0
                   else f"failed with exit code {code}; see above")
            raise AigcError(f"{child.name} of this stage {how}")


def _serve(link: Connection, parent: int, rank: int, arithmetic: runtime.Arithmetic, threads: int) -> None:
    """What another process does: it answers each task by its result, or by the error that ends it."""
    process.die_with_parent()
    if os.getppid() != parent:  # it ended while this process was starting
        os._exit(1)
    work: Any = None
    with suppress(EOFError, ConnectionError):  # the stage has ended
        try:
            cuda.see_only(rank)
            with redirect_stderr(io.StringIO()):  # the stage says the same of its device
                runtime.start_torch(arithmetic, threads)
            while True:
                new, task = link.recv()
                work = work if new is None else new
                link.send(work(task))
        except (AigcError, OSError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not is_out_of_memory(error):
                raise
            link.send(error)
            while True:  # until the stage has read it and ends this process
                link.recv()
