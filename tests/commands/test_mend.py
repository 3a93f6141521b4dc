"""What a kill leaves of DVC's own files is mended, and nothing else is touched."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from aigc.commands import mend
from aigc.workspace import lockfile
from projects import ROOT, run_in

PIPELINE = """
# in place of aigc.stages
stages:
  one:
    cmd: mkdir -p out && cp in out/a && cp in out/b
    params: [p]
    deps: [in]
    outs: [out]
  two:
    cmd: sleep $(cat pause) && cat out/a out/b > last
    deps: [out, pause]
    outs: [last]
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of DVC's that was run and committed."""
    folder = tmp_path_factory.mktemp("mend")
    for name, content in {
        "dvc.yaml": PIPELINE,
        "params.yaml": "p: 123\n",
        "in": "picture\n",
        "pause": "0\n",
    }.items():
        (folder / name).write_text(content)
    for command in (
        ("git", "init", "-q"),
        ("dvc", "init", "-q"),
        ("dvc", "repro", "-q"),
        ("git", "config", "user.name", "t"),
        ("git", "config", "user.email", "t@example.org"),
        ("git", "add", "-A"),
        ("git", "commit", "-qm", "made"),
    ):
        run_in(folder, *command)
    return folder


@pytest.fixture
def repository(original: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    subprocess.run(["cp", "-a", str(original), str(folder)], check=True)
    return folder


def aigc_mend(folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run_in(folder, sys.executable, "-m", "aigc", "mend", check=check, PYTHONPATH=str(ROOT / "src"))


def test_every_cut_of_a_lock_is_noticed_or_loses_whole_entries_alone(original: Path, tmp_path: Path) -> None:
    content = (original / "dvc.lock").read_bytes()
    assert lockfile.is_whole(original / "dvc.lock")
    whole = YAML(typ="safe", pure=True).load(content)["stages"]
    cut, noticed = tmp_path / "dvc.lock", 0
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        if not lockfile.is_whole(cut):
            noticed += 1
            continue
        # What passes must be what DVC itself takes for another state of the stage, and therefore runs again.
        for name, stage in (YAML(typ="safe", pure=True).load(cut).get("stages") or {}).items():
            for part in ("deps", "outs"):
                entries = stage.get(part, [])
                assert entries == whole[name].get(part, [])[:len(entries)], (length, name)
    assert noticed > 0.9 * len(content)


def test_a_cut_lock_is_restored_and_repro_ends_in_the_same_bytes(repository: Path) -> None:
    lock = repository / "dvc.lock"
    content = lock.read_bytes()
    lock.write_bytes(content[:content.rindex(b"hash: md5") + 3])
    assert run_in(repository, "dvc", "repro", check=False).returncode != 0
    assert "dvc.lock: was cut; restored from git" in aigc_mend(repository).stderr
    run_in(repository, "dvc", "repro")
    assert lock.read_bytes() == content


def test_a_lock_in_the_midst_of_a_merge_is_left_to_its_owner(repository: Path) -> None:
    lock = repository / "dvc.lock"
    content = lock.read_bytes()
    lock.write_bytes(b"<<<<<<< ours\n" + content + b"=======\n" + content + b">>>>>>> theirs\n")
    conflict = lock.read_bytes()
    done = aigc_mend(repository, check=False)
    assert (
        done.returncode == 1
        and "a merge that is not resolved" in done.stderr
        and lock.read_bytes() == conflict
    )
    lock.write_bytes(content)


@pytest.mark.slow
def test_a_lock_that_git_does_not_have_is_removed_and_made_again_from_the_run_cache(repository: Path) -> None:
    lock = repository / "dvc.lock"
    content = lock.read_bytes()
    run_in(repository, "git", "rm", "-q", "--cached", "dvc.lock")
    run_in(repository, "git", "commit", "-qm", "without a lock")
    lock.write_bytes(content[:100])
    assert "removed" in aigc_mend(repository).stderr
    run_in(repository, "dvc", "repro")
    assert lock.read_bytes() == content


def test_a_lock_held_by_a_pid_that_another_program_has_now_is_dropped(repository: Path) -> None:
    other = subprocess.Popen(["sleep", "60"])
    held = {"pid": other.pid, "cmd": "dvc repro"}
    (repository / ".dvc/tmp/rwlock").write_text(
        json.dumps({"write": {str(repository / "out"): held}, "read": {}})
    )
    (repository / "in").write_text("another picture\n")
    assert "is busy, it is being blocked by" in run_in(repository, "dvc", "repro", check=False).stderr
    assert f"held by process {other.pid}, which is gone; removed" in aigc_mend(repository).stderr
    run_in(repository, "dvc", "repro")
    other.kill()
    other.wait()


@pytest.mark.slow
def test_a_cut_rwlock_is_dropped(repository: Path) -> None:
    (repository / ".dvc/tmp/rwlock").write_text('{"write": {"/some/pa')
    (repository / "in").write_text("another picture\n")
    assert "RWLock-file" in run_in(repository, "dvc", "repro", check=False).stderr
    assert "was cut; removed" in aigc_mend(repository).stderr
    run_in(repository, "dvc", "repro")
    assert "nothing to mend" in aigc_mend(repository).stderr


@pytest.mark.slow
def test_nothing_is_touched_while_a_dvc_is_at_work(repository: Path) -> None:
    (repository / "pause").write_text("30\n")
    working = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=repository,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    rwlock, deadline = repository / ".dvc/tmp/rwlock", time.monotonic() + 120
    while not (
        rwlock.exists() and f'"pid": {working.pid}' in rwlock.read_text() and "last" in rwlock.read_text()
    ):
        assert working.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    before = rwlock.read_bytes()
    refused = aigc_mend(repository, check=False)
    assert (
        refused.returncode == 1
        and f"process {working.pid} " in refused.stderr
        and "is at work here" in refused.stderr
    )
    assert rwlock.read_bytes() == before
    os.killpg(working.pid, 9)
    working.wait()
    assert f"held by process {working.pid}, which is gone" in aigc_mend(repository).stderr


def test_half_written_files_of_the_dead_go_and_those_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    gone = {
        Path("reports/.page.html.4194303.tmp"),
        Path("data/raw/.images.npy.4194303.tmp"),
        Path(".dvc.lock.4194303.tmp"),
    }
    kept = {Path("reports/notes.tmp"), Path("data/source/cats/.scan.2023.tmp")}
    for path in gone | kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert len(mend._sweep()) == len(gone)
    assert {path for path in gone | kept if path.exists()} == kept


@pytest.mark.parametrize(
    ("folder", "program", "at_work"),
    [("docs", "dvc", True), ("..", "dvc", True), ("../other", "dvc", False), (".", "cat", False)],
)
def test_a_dvc_is_at_work_here_from_any_folder_of_the_project(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, program: str, at_work: bool) -> None:
    for name in ("project/docs", "other"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    working = subprocess.Popen([program, "60"], executable="/bin/sleep", cwd=folder)
    while psutil.Process(working.pid).cmdline() != [program, "60"]:  # the kernel may still be at exec
        time.sleep(0.01)
    assert mend._is_dvc(working.pid) == at_work
    working.kill()
    working.wait()
