"""The tests compute in portable arithmetic, as the pipeline does. Its caps are set before numpy is loaded."""

from aigc.core import runtime

THREADS = 1  # of each of pytest's workers
runtime.cap_environment("portable", THREADS)

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from projects import Run, run_once

# Under nohup, or in the background, pytest ignores these, and so would the commands that tests start.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a finished pipeline come first: one worker makes it, while the others run the rest."""
    items.sort(key=lambda item: "finished" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def device() -> runtime.Device:
    return runtime.start_torch("portable", THREADS)


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """mlflow.set_tracking_uri also sets a variable, which programs that a later test starts would use."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    from aigc.data import sources

    found = sources.digits()
    return found.images, found.labels


@pytest.fixture
def aigc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """`aigc WORDS` in a folder, as `run_in`, but within this process: to start one takes seconds."""
    import torch

    from aigc import cli

    # This process has the caps since its start (see above), with its own number of threads.
    monkeypatch.setattr(runtime, "cap_environment", lambda arithmetic, threads: None)

    def run(folder: Path, *words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(folder)
        capsys.readouterr()
        code, said = cli.main([str(word) for word in words]), capsys.readouterr()
        assert not check or code == 0, f"{words}: {said.out[-3000:]}\n{said.err[-3000:]}"
        return subprocess.CompletedProcess(words, code, said.out, said.err)

    yield run
    torch.set_num_threads(THREADS)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which `dvc repro` has run once. Read it, do not change it.

    Workers of `pytest -n` share one run; each has a copy.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return run_once(tmp_path_factory.mktemp("finished"))
    shared = tmp_path_factory.getbasetemp().parent / "finished"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.with_suffix(".done").exists():
            run_once(shared)
            shared.with_suffix(".done").touch()
    return Path(shutil.copytree(shared, tmp_path_factory.mktemp("finished") / "project", symlinks=True))


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished project to break."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder, symlinks=True, ignore=shutil.ignore_patterns("mlruns", "mlflow.db"))
    return folder


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    program = next(
        (
            found
            for name in ("chromium", "chromium-browser", "google-chrome")
            if (found := shutil.which(name))
        ),
        None,
    )
    if program is None:
        pytest.skip("no Chromium on this machine; .ci/run installs one")
    quiet = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=quiet)
        yield opened
        opened.close()
