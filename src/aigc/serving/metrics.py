"""What Prometheus reads at /metrics."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from aigc.core.version import VERSION
from aigc.serving.drawer import Drawer
from aigc.serving.waiting import Queue

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


class Counts:
    """What happened since the start. It is counted by one thread; prometheus-client only prints it."""

    def __init__(self, drawer: Drawer, queue: Queue) -> None:
        self.drawer, self.queue = drawer, queue
        self.answers: Counter[tuple[str, int]] = Counter()  # by path and status
        self.buckets: Counter[float] = Counter()  # answers of POST /generate that took so long, or less
        self.seconds, self.pictures = 0.0, 0

    def answered(self, path: str, status: int, seconds: float) -> None:
        self.answers[path, status] += 1
        if path == "/generate":
            self.seconds += seconds
            self.buckets[next((limit for limit in BUCKETS if seconds <= limit), math.inf)] += 1

    def collect(self) -> Iterator[Any]:
        """The metrics, as prometheus-client asks a collector for them."""
        from prometheus_client import core

        info = core.InfoMetricFamily("aigc_model", "the model that is served")
        card = self.drawer.card
        info.add_metric([], {"method": card.method, "model_sha256": card.sha256, "version": VERSION})
        answers = core.CounterMetricFamily("aigc_answers", "answers", labels=("path", "status"))
        for (path, status), count in self.answers.items():
            answers.add_metric((path, str(status)), count)
        limits = (*map(str, BUCKETS), "+Inf")
        below = itertools.accumulate(self.buckets[limit] for limit in (*BUCKETS, math.inf))
        seconds = core.HistogramMetricFamily("aigc_generate_seconds", "time to an answer of /generate")
        seconds.add_metric([], list(zip(limits, below, strict=True)), self.seconds)
        blocks = core.CounterMetricFamily("aigc_blocks", "blocks of samples", labels=("from",))
        blocks.add_metric(("model",), self.drawer.drawn)
        blocks.add_metric(("memory",), self.drawer.reused)
        queue = self.queue
        yield from (info, answers, seconds, blocks,
                    core.CounterMetricFamily("aigc_pictures", "pictures in answers", self.pictures),
                    core.GaugeMetricFamily("aigc_queue_length", "orders in work or waiting", queue.length),
                    core.GaugeMetricFamily("aigc_queue_most", "orders that the queue takes", queue.most))

    def text(self) -> bytes:
        """In Prometheus' text format, with memory and CPU time of the process. Raises ImportError."""
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(self)
        return generate_latest(registry)
