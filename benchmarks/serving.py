"""`aigc serve` under load, against `mlflow models serve` of the same model.

    PYTHONPATH=src python benchmarks/serving.py [--model dcgan] [--requests 10000] [--mlflow-requests 1000]

Locust's clients send their requests one after the other, as fast as they get answers. Each asks for --n
pictures of one of --seeds seeds (a gallery, a page that is opened again); then, a tenth as many, each of a
seed that nobody asked for before. A server that keeps blocks of samples gains by the first kind alone.
Exit code 1 where a request fails, or the memory of `aigc serve` grows by more than 5% after the first fifth.
"""

from locust import FastHttpUser, events, task  # isort: skip (it patches sockets)
import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import psutil
from locust.env import Environment
from locust.exception import StopUser

OURS, THEIRS = "aigc serve", "mlflow models serve"
MOST_GROWTH = 0.05
WARM_UP = 0.2  # of the requests
READY_SECONDS = 300
SEEDS = 1 << 31  # those above nobody asks for twice


@dataclass
class Load:
    """What the clients of one run ask for, and what was measured. memory: (answers so far, bytes)."""

    requests: int
    clients: int
    n: int
    seeds: int | None
    is_mlflow: bool
    started: int = 0
    answers: int = 0
    memory: list[tuple[int, int]] = field(default_factory=list)

    def next_seed(self) -> int:
        """Of the next request. Raises StopUser when there is none."""
        if self.started == self.requests:
            raise StopUser
        self.started += 1
        if self.seeds is None:
            return SEEDS + self.started
        return random.Random(self.started).randrange(self.seeds)

    def body(self, seed: int) -> str:
        if self.is_mlflow:
            return json.dumps({"dataframe_records": [{"n": self.n, "label": -1, "seed": seed}]})
        return json.dumps({"n": self.n, "seed": seed})


class Client(FastHttpUser):
    """load: of the run; set before the clients start."""

    load: Load
    network_timeout = connection_timeout = READY_SECONDS

    @task
    def generate(self) -> None:
        load = Client.load
        path = "/invocations" if load.is_mlflow else "/generate"
        body = load.body(load.next_seed())
        with self.client.post(path, body, headers={"Content-Type": "application/json"},
                              catch_response=True) as answer:
            pictures = (answer.content or b"").count(b'"png"')
            if answer.status_code != 200 or pictures != load.n:
                answer.failure(f"{answer.status_code} with {pictures} pictures: {answer.text[:200]}")
        load.answers += 1


@dataclass
class Row:
    name: str
    requests: int
    errors: int
    per_second: float
    per_cpu_second: float
    median: float
    p99: float
    low: float
    high: float

    @property
    def growth(self) -> float:
        return self.high / self.low - 1

    def __str__(self) -> str:
        return (f"| {self.name} | {self.requests} | {self.errors} | {self.per_second:.0f} | "
                f"{self.per_cpu_second:.0f} | {self.median:.0f} | {self.p99:.0f} | {self.low:.0f} to "
                f"{self.high:.0f} ({100 * self.growth:+.1f}%) |")


def measured(name: str, address: str, process: psutil.Process, load: Load) -> Row:
    """Put the server under `load`."""
    Client.load, Client.host = load, address
    environment = Environment(user_classes=[Client], events=events)
    environment.stats.reset_all()
    runner = environment.create_local_runner()
    sampler = gevent.spawn(_sample, process, load)
    spent, started = _cpu_seconds(process), time.monotonic()
    runner.start(load.clients, spawn_rate=load.clients)
    while load.answers < load.requests:
        gevent.sleep(0.05)
    seconds, spent = time.monotonic() - started, _cpu_seconds(process) - spent
    sampler.kill()
    runner.quit()
    total, pictures = environment.stats.total, load.requests * load.n
    for error in environment.stats.errors.values():
        print(f"{name}: {error.occurrences} times {error.error}", file=sys.stderr)
    after = [memory / 2**20 for done, memory in load.memory if done >= WARM_UP * load.requests] or [1]
    return Row(name, total.num_requests, total.num_failures, pictures / seconds, pictures / spent,
               total.get_response_time_percentile(0.5), total.get_response_time_percentile(0.99),
               min(after), max(after))


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu_seconds(process: psutil.Process) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in _family(process))


def _sample(process: psutil.Process, load: Load) -> None:
    while True:
        load.memory.append((load.answers, sum(one.memory_info().rss for one in _family(process))))
        gevent.sleep(0.5)


@contextmanager
def running(command: list[str], address: str, page: str) -> Iterator[psutil.Process]:
    """A server that answers on `page`, ended afterwards with all that it started."""
    with tempfile.TemporaryFile("w+") as log:
        # MLflow looks for uvicorn on the path.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        server = psutil.Popen(command, stdout=log, stderr=log, start_new_session=True,
                              env={**os.environ, "PATH": path})
        try:
            _wait(address + page, server)
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            if server.wait(READY_SECONDS) not in (0, -signal.SIGTERM):
                log.seek(0)
                print(log.read()[-2000:], file=sys.stderr)


def _wait(address: str, server: psutil.Popen) -> None:
    import urllib.request

    deadline = time.monotonic() + READY_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            urllib.request.urlopen(address, timeout=5)
            return
        gevent.sleep(0.2)
    sys.exit(f"{address}: no server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def save_for_mlflow(method: str, folder: Path) -> None:
    """The model as `train` logs it, in a folder. A process of its own: MLflow needs sockets as they are."""
    code = ("import sys, mlflow; from aigc.core import paths; from aigc.tracking import run; "
            "mlflow.pyfunc.save_model(sys.argv[1], python_model=str(run.SERVING_PAGE), "
            "artifacts={'model': str(paths.model(sys.argv[2]))}, signature=run.SIGNATURE, "
            "code_paths=[str(run.CODE / 'aigc')], pip_requirements=str(paths.REQUIREMENTS))")
    subprocess.run([sys.executable, "-c", code, folder, method], check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="dcgan", help="a method that was trained (default dcgan)")
    parser.add_argument("--requests", type=int, default=10_000, help="to `aigc serve` (default 10000)")
    parser.add_argument("--mlflow-requests", type=int, default=1000, help="(default 1000)")
    parser.add_argument("--clients", type=int, default=16, help="(default 16)")
    parser.add_argument("--n", type=int, default=16, help="pictures of a request (default 16)")
    parser.add_argument("--seeds", type=int, default=200, help="that are asked for again (default 200)")
    asked = parser.parse_args()
    rows: dict[tuple[str, str], Row] = {}
    with tempfile.TemporaryDirectory(prefix="aigc-bench-") as folder:
        saved = Path(folder) / "model"
        save_for_mlflow(asked.model, saved)
        mlflow = str(Path(sys.executable).with_name("mlflow"))
        ours = [sys.executable, "-m", "aigc", "serve", asked.model, "--quiet", "--port"]
        theirs = [mlflow, "models", "serve", "-m", str(saved), "--env-manager", "local", "--port"]
        for server, start, requests in ((OURS, ours, asked.requests),
                                        (THEIRS, theirs, asked.mlflow_requests)):
            port, is_mlflow = free_port(), server == THEIRS
            command = [*start, str(port)]
            address = f"http://127.0.0.1:{port}"
            with running(command, address, "/ping" if is_mlflow else "/healthz") as process:
                for kind, count, seeds in ((f"{asked.seeds} seeds", requests, asked.seeds),
                                           ("own seed", max(1, requests // 10), None)):
                    load = Load(count, asked.clients, asked.n, seeds, is_mlflow)
                    rows[server, kind] = measured(f"{server}, {kind}", address, process, load)
                    print(rows[server, kind], file=sys.stderr, flush=True)
    return report(rows)


def report(rows: dict[tuple[str, str], Row]) -> int:
    print("| server, seeds | requests | errors | pictures/s | pictures per CPU second of the server | "
          "median ms | p99 ms | MiB after the first fifth |\n|---|---|---|---|---|---|---|---|")
    print(*rows.values(), sep="\n")
    for kind in dict.fromkeys(kind for _, kind in rows):
        ours, theirs = rows[OURS, kind], rows[THEIRS, kind]
        print(f"{kind}: {ours.per_second / theirs.per_second:.1f} times the pictures a second of {THEIRS}, "
              f"{ours.per_cpu_second / theirs.per_cpu_second:.1f} times those of a CPU second")
    growth = next(iter(rows.values())).growth
    errors = sum(row.errors for (server, _), row in rows.items() if server == OURS)
    print(f"{errors} errors; memory grew by {100 * growth:.1f}% after the first fifth "
          f"({100 * MOST_GROWTH:.0f}% are allowed)")
    return int(errors > 0 or growth > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
