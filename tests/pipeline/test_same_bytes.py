"""The same bytes in another folder, under another user's settings, and after any number of kills."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import crashes
from projects import copy_project, environment_of, run_in

MATPLOTLIBRC = (
    "figure.dpi: 33\nfont.size: 31\naxes.facecolor: red\nsavefig.dpi: 44\nlines.linewidth: 9\nbackend: svg\n"
)
HOSTILE = {
    "TZ": "Asia/Kolkata",
    "LC_ALL": "C",
    "PYTHONHASHSEED": "4242",
    "OMP_NUM_THREADS": "1",
    "MKL_CBWR": "AUTO",
    "COLUMNS": "40",
}
KILLS = 6


@pytest.mark.slow
def test_an_empty_environment_and_hostile_settings_make_the_same_lock(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "another folder é"
    folder.mkdir()
    copy_project(folder)
    home = tmp_path / "home"
    (home / ".config/matplotlib").mkdir(parents=True)
    (home / ".config/matplotlib/matplotlibrc").write_text(MATPLOTLIBRC)
    settings = {"PATH": environment_of()["PATH"], "HOME": str(home), **HOSTILE}
    command = [
        "env",
        "-i",
        *(f"{key}={value}" for key, value in settings.items()),
        "sh",
        "-c",
        "umask 077; exec dvc repro",
    ]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    assert (folder / "dvc.lock").read_bytes() == (finished / "dvc.lock").read_bytes()


@pytest.mark.slow
def test_a_pipeline_killed_again_and_again_ends_in_the_same_lock(finished: Path, tmp_path: Path) -> None:
    folder, rng = tmp_path / "killed", random.Random(0)
    folder.mkdir()
    copy_project(folder)
    hits = 0
    for index in range(KILLS):
        run = subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro"],
            cwd=folder,
            env=environment_of(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(rng.uniform(2, 30))
        victim = crashes.VICTIMS[index % len(crashes.VICTIMS)]
        stages, _ = crashes.stages_of(run)
        hits += run.poll() is None
        if victim != "stage" and run.poll() is None:
            run.kill()
        if victim != "dvc":
            for stage in stages:
                stage.send_signal(signal.SIGKILL)
        run.wait()
        run_in(folder, sys.executable, "-m", "aigc", "mend", PYTHONPATH="src")
    assert hits, "no kill fell into a run"
    crashes.go_on(folder)
    assert (folder / "dvc.lock").read_bytes() == (finished / "dvc.lock").read_bytes()
    assert not crashes.faults_of_runs(folder)


@pytest.mark.slow
def test_training_killed_at_random_instants_goes_on_as_one_run_to_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    base = crashes.small_project(tmp_path / "base", ["vae", "gan"])
    for method in ("vae", "gan"):
        (tmp_path / method).mkdir()
        killed = crashes.loop(base, tmp_path / method, f"train@{method}", 6, random.Random(method))
        for crash in killed:
            assert crash.same_bytes and not crash.faults, crash
        assert any(crash.hit for crash in killed) and any(crash.resumed for crash in killed), killed


@pytest.mark.slow
def test_make_repro_mends_first(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(finished, folder, symlinks=True)
    lock = (folder / "dvc.lock").read_bytes()
    (folder / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / part).symlink_to(Path(sys.prefix) / part)
    (folder / ".venv/runtime").touch()
    (folder / "dvc.lock").write_bytes(lock[:lock.rindex(b"hash: md5") + 3])
    (folder / ".dvc/tmp/rwlock").write_text('{"wri')
    done = run_in(folder, "make", "repro")
    assert "dvc.lock: was cut; restored from git" in done.stderr and "rwlock: was cut; removed" in done.stderr
    assert (folder / "dvc.lock").read_bytes() == lock
