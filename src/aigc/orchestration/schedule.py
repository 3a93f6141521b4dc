"""Which stages may run next. Pure: starts nothing and reads nothing, so that it can also be simulated."""

from collections.abc import Collection, Iterator, Mapping, Sequence

UNKNOWN_SECONDS = 1.0  # of a stage, where no stage has been measured


class Schedule:
    """The stages that wait, and chains of them to run.

    order: all stages in DVC's order. upstream: what each waits for, whether directly or not. waiting: those
    that may have to run; the others are done. seconds: what stages took before, as far as it is known. It
    decides which chain comes first, and nothing else.
    """

    def __init__(self, order: Sequence[str], upstream: Mapping[str, Collection[str]],
                 waiting: Collection[str], seconds: Mapping[str, float]) -> None:
        self.order = [name for name in order if name in waiting]
        self.upstream = {name: set(upstream[name]).intersection(self.order) for name in self.order}
        self.waiting, self.unfinished = set(self.order), set(self.order)
        self.failed: list[str] = []
        self.skipped: list[str] = []  # depend on a failed one
        self.urgency = self._urgency(seconds)

    def _urgency(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """The length in seconds of the longest path from each stage to the end."""
        known = [seconds[name] for name in self.order if name in seconds]
        typical = sum(known) / len(known) if known else UNKNOWN_SECONDS
        after: dict[str, float] = {}
        for name in reversed(self.order):
            behind = [after[other] for other in after if name in self.upstream[other]]
            after[name] = seconds.get(name, typical) + max(behind, default=0.0)
        return after

    def ready(self) -> list[str]:
        """What waits for nothing any more, the most urgent first."""
        free = [name for name in self.order if name in self.waiting
                and not self.upstream[name] & self.unfinished]
        return sorted(free, key=lambda name: -self.urgency[name])

    def chain(self, first: str) -> list[str]:
        """`first` and the stages after it that one process can run one after another.

        The chain ends where several stages become ready, which then run side by side.
        """
        chain = [first]
        while True:
            left = self.unfinished.difference(chain)
            freed = [name for name in self.order if name in self.waiting and name not in chain
                     and chain[-1] in self.upstream[name] and not self.upstream[name] & left]
            if len(freed) != 1:
                break
            chain += freed
        return chain

    def start(self, first: str) -> list[str]:
        """Take the chain of `first`: it waits no more."""
        chain = self.chain(first)
        self.waiting.difference_update(chain)
        return chain

    def done(self, name: str) -> None:
        """`name` is as DVC wants it."""
        self.waiting.discard(name)
        self.unfinished.discard(name)

    def fail(self, name: str) -> None:
        """`name` failed: what depends on it is skipped. It stays unfinished."""
        self.failed.append(name)
        lost = [other for other in self.order if other in self.unfinished and name in self.upstream[other]
                and other not in self.skipped]
        self.skipped += lost
        self.waiting.difference_update([name, *lost])


def simulate(order: Sequence[str], upstream: Mapping[str, Collection[str]], seconds: Mapping[str, float],
             jobs: int, start_seconds: float = 0.0) -> float:
    """How long `jobs` processes would take, if stages that run side by side took as long as they do alone.

    seconds: of each stage. start_seconds: what a process takes before its first stage.
    """
    schedule = Schedule(order, upstream, order, seconds)
    running: list[tuple[float, str, Iterator[str]]] = []  # (end, stage, those of its chain that are left)
    now = 0.0
    while schedule.unfinished:
        for first in schedule.ready()[:jobs - len(running)]:
            if first in schedule.waiting:
                chain = iter(schedule.start(first))
                name = next(chain)
                running.append((now + start_seconds + seconds[name], name, chain))
        soonest = min(running, key=lambda run: run[0])
        running.remove(soonest)
        now, name, chain = soonest
        schedule.done(name)
        if following := next(chain, None):
            running.append((now + seconds[following], following, chain))
    return now


def critical_path(order: Sequence[str], upstream: Mapping[str, Collection[str]],
                  seconds: Mapping[str, float]) -> list[str]:
    """The stages that follow each other and take longest: no number of cores is faster than their sum."""
    schedule = Schedule(order, upstream, order, seconds)
    path = [max(schedule.order, key=lambda name: schedule.urgency[name])]
    while behind := [name for name in schedule.order if path[-1] in schedule.upstream[name]]:
        path.append(max(behind, key=lambda name: schedule.urgency[name]))
    return path
