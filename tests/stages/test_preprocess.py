"""The stage in several processes: as one process writes it, and nothing outlives it."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from aigc.core import paths, process
from aigc.data import pictures, resizing
from aigc.stages import preprocess
from projects import ROOT, environment_of


def raw(root: Path, count: int, side: int) -> None:
    """A project in `root` whose ingest wrote `count` pictures of side x side for models of 28 x 28."""
    folder = root / paths.RAW
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", root)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (count, 1, side, side))
    images[:60] = np.random.default_rng(0).integers(0, 256, images[:60].shape, dtype=np.uint8)
    pictures.write_labels(folder, np.zeros(count), ["a"])
    pictures.write_origin(folder, {})
    pd.DataFrame({"split": np.array(["train", "train", "holdout", "test"])[np.arange(count) % 4]}).to_parquet(
        folder / "manifest.parquet")


def test_two_processes_write_the_bytes_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resizing, "LITTLE", 0)
    written = []
    for count in (1, 2):
        monkeypatch.setattr(process, "cores", lambda count=count: count)
        root = tmp_path / str(count)
        raw(root, 60, 40)
        monkeypatch.chdir(root)
        preprocess.run()
        written.append({str(path): path.read_bytes() for path in sorted(paths.PROCESSED.rglob("*.npy"))})
    assert len(written[0]) == 6 and written[0] == written[1]


# Bytes: while the workers start, and while they work.
@pytest.mark.parametrize("written", [0, pytest.param(1 << 20, marks=pytest.mark.slow)])
def test_no_process_is_left_behind_by_a_sigterm(tmp_path: Path, written: int) -> None:
    raw(tmp_path, 12_000, 256)
    command = [sys.executable, "-m", "aigc.stages", "preprocess"]
    started = subprocess.Popen(command, cwd=tmp_path,
                               env=environment_of(PYTHONPATH=str(ROOT / "src"), DVC_ROOT=str(ROOT)))
    while not (files := list(tmp_path.glob("data/processed/train/.images.npy.*.tmp"))) or len(
            family := psutil.Process(started.pid).children(recursive=True)) < 3 or (  # two workers, a tracker
                files[0].stat().st_size < written):
        assert started.poll() is None
        time.sleep(0.01)
    started.terminate()
    started.wait()
    assert not psutil.wait_procs(family, timeout=10)[1], "a process outlived the stage"
    assert not list(tmp_path.glob("data/processed/*/images.npy"))
