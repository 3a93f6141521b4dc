"""What git says is believed; what it refuses to say is shown, and is never taken for a clean tree."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aigc.core.errors import AigcError
from aigc.training.observer import Training
from aigc.workspace import git
from projects import run_in
from stores import CODE


def test_the_patch_of_uncommitted_work_makes_it_again_elsewhere_and_holds_no_untracked_file_that_is_no_source(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, copy = tmp_path / "start", tmp_path / "copy"
    start.mkdir()
    for command in (("init", "-q"), ("config", "user.name", "t"), ("config", "user.email", "t@example.org")):
        run_in(start, "git", *command)
    (start / "a.txt").write_text("one\n")
    (start / "src").mkdir()
    (start / "src/kept.py").touch()
    run_in(start, "git", "add", "-A")
    run_in(start, "git", "commit", "-qm", "a")
    run_in(tmp_path, "git", "clone", "-q", start, copy)
    (start / "a.txt").write_text("two\n")
    odd = {"src/new file.bin": bytes(range(256)), "größe.py": "Maß\r\n".encode("latin-1"),
           "crlf.yaml": b"one\r\ntwo\r\n"}
    others = {"photos/1.png": b"1", "weights.pth": b"2", ".env": b"SECRET=3", "venv2/lib/a.py": b"4",
              "src/big.py": b"#" * (1 << 20) + b"\n"}
    for name, content in {**odd, **others}.items():
        (start / name).parent.mkdir(parents=True, exist_ok=True)
        (start / name).write_bytes(content)
    run_in(start, "git", "config", "diff.noprefix", "true")
    monkeypatch.chdir(start)
    subprocess.run(["git", "apply"], cwd=copy, input=git.uncommitted(), check=True)
    assert (copy / "a.txt").read_text() == "two\n"
    assert {name: (copy / name).read_bytes() for name in odd} == odd
    assert not [name for name in others if (copy / name).exists()]


@pytest.fixture
def of_another_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a commit and a change, which git refuses to look at, as at one of another user."""
    for command in (("init", "-q"), ("config", "user.name", "t"), ("config", "user.email", "t@example.org")):
        run_in(tmp_path, "git", *command)
    (tmp_path / "a.py").write_text("one\n")
    run_in(tmp_path, "git", "add", "-A")
    run_in(tmp_path, "git", "commit", "-qm", "a")
    (tmp_path / "a.py").write_text("two\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    return tmp_path


def test_a_repository_of_another_owner_is_refused_with_gits_own_words_and_is_never_clean(
        of_another_owner: Path) -> None:
    for ask in (git.is_repository, git.uncommitted, git.top, lambda: git.committed(Path("a.py"))):
        with pytest.raises(AigcError, match="dubious ownership") as caught:
            ask()
        assert "\n" not in str(caught.value) and "safe.directory" in str(caught.value)


def test_a_run_in_a_repository_of_another_owner_says_unknown_and_not_clean(
        of_another_owner: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from aigc.tracking import store
    from aigc.tracking.observer import MlflowObserver

    training = Training("gan", "0123", {}, {}, of_another_owner, "d" * 64, steps=10, watch=False,
                        is_repeat=False)
    with MlflowObserver().training(training):
        pass
    client, experiment = store.open_store()
    run, = client.search_runs([experiment])
    tags = run.data.tags
    assert tags["aigc.git_dirty"] == "unknown" and "mlflow.source.git.commit" not in tags
    assert "warning: the MLflow run names no commit" in capsys.readouterr().err


def test_a_folder_without_a_repository_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert not git.is_repository()
    assert git.committed(Path("a.py")) is None


def repository(folder: Path, commit: bool = True) -> Path:
    """A repository with one source file, committed unless it shall have no commit yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for command in (
        ("init", "-q", "-b", "main"),
        ("config", "user.name", "t"),
        ("config", "user.email", "t@example.org"),
    ):
        run_in(folder, "git", *command)
    (folder / "a.py").write_text("one\n")
    run_in(folder, "git", "add", "-A")
    if commit:
        run_in(folder, "git", "commit", "-qm", "a")
    return folder


def break_git_file(folder: Path) -> None:
    (folder / ".git").rename(folder.parent / "elsewhere")
    (folder / ".git").write_text(f"gitdir: {folder}/nowhere\n")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a .git file that points nowhere": break_git_file,
    "a HEAD of other bytes": lambda folder: (folder / ".git/HEAD").write_bytes(b"\0" * 41),
    "a branch that a power cut emptied": lambda folder: (folder / ".git/refs/heads/main").write_bytes(b""),
    "a branch that names no commit": lambda folder: (folder / ".git/refs/heads/main").write_text(
        "0123456789" * 4 + "\n"
    ),
    "an index of other bytes": lambda folder: (folder / ".git/index").write_bytes(b"DIRC" + b"\0" * 40),
    "no objects": lambda folder: shutil.rmtree(folder / ".git/objects"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_repository_is_neither_clean_nor_none_nor_without_a_lock(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    folder = repository(tmp_path / "project")
    monkeypatch.chdir(folder)
    assert git.uncommitted() == b"" and git.committed(Path("a.py")) == b"one\n"
    DAMAGE[damage](folder)
    with pytest.raises(AigcError) as caught:
        git.is_repository() and (git.head(), git.uncommitted())
    assert "\n" not in str(caught.value) and "failed: " in str(caught.value)


def test_a_git_that_is_missing_from_path_is_no_clean_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    for ask in (git.is_repository, git.uncommitted, lambda: git.committed(Path("a.py"))):
        with pytest.raises(AigcError, match="git cannot be started .*; install it, or put it on PATH"):
            ask()


def test_before_the_first_commit_every_source_file_is_uncommitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repository(tmp_path, commit=False)
    run_in(folder, "git", "rm", "-q", "--cached", "a.py")
    monkeypatch.chdir(folder)
    assert git.is_repository() and git.head() == "" and git.committed(Path("a.py")) is None
    assert b"+one" in git.uncommitted()


def test_a_staged_file_before_the_first_commit_is_uncommitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository(tmp_path, commit=False))
    assert b"+one" in git.uncommitted()


def test_in_a_hook_of_another_repository_the_folder_decides_which_one_is_asked(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, ours = repository(tmp_path / "other"), repository(tmp_path / "ours")
    (ours / "a.py").write_text("two\n")
    monkeypatch.chdir(ours)
    expected = (git.top(), git.head(), git.uncommitted())
    for name, value in {
        "GIT_DIR": other / ".git",
        "GIT_WORK_TREE": other,
        "GIT_INDEX_FILE": other / ".git/index",
        "GIT_PREFIX": "",
        "GIT_LITERAL_PATHSPECS": 1,
        "GIT_EXTERNAL_DIFF": "true",
        "GIT_TRACE": 1,
    }.items():
        monkeypatch.setenv(name, str(value))
    assert (git.top(), git.head(), git.uncommitted()) == expected
    assert expected[0] == ours and b"+two" in expected[2]


def test_a_message_of_git_is_known_in_any_language_and_a_hint_is_no_reason(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository(tmp_path))
    for name in ("LC_ALL", "LANGUAGE"):
        monkeypatch.setenv(name, "de_DE.UTF-8")
    run_in(tmp_path, "git", "checkout", "-q", "--orphan", "empty")
    assert git.head() == ""
    with pytest.raises(AigcError, match="failed: fatal: ") as caught:
        git.run("push")
    assert "hint" not in str(caught.value)


def test_a_commit_is_known_to_be_here_or_not_and_a_shallow_clone_says_that_it_is_one(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = repository(tmp_path / "start")
    first = run_in(start, "git", "rev-parse", "HEAD").stdout.strip()
    run_in(start, "git", "commit", "-qm", "b", "--allow-empty")
    run_in(tmp_path, "git", "clone", "-q", "--depth", 1, f"file://{start}", tmp_path / "shallow")
    monkeypatch.chdir(start)
    assert (
        git.has_commit(first)
        and not git.has_commit("0" * 40)
        and not git.has_commit("no-branch")
        and not git.is_shallow()
    )
    monkeypatch.chdir(tmp_path / "shallow")
    assert (
        not git.has_commit(first)
        and git.has_commit(git.head())
        and git.is_shallow()
        and git.uncommitted() == b""
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to another user")
def test_mend_keeps_the_lock_of_a_repository_that_belongs_to_another_user_and_says_how_to_trust_it(
    tmp_path: Path,
) -> None:
    folder = repository(tmp_path / "project")
    for name, content in {
        "dvc.yaml": "# aigc.stages\n",
        "params.yaml": "p: 1\n",
        "dvc.lock": "schema: '2.0'\nstages:\n  a",
    }.items():
        (folder / name).write_text(content)
    (folder / ".dvc").mkdir()
    run_in(folder, "git", "add", "-A")
    run_in(folder, "git", "commit", "-qm", "b")
    run_in(tmp_path, "chown", "-R", "12345", folder)
    asked = {**CODE, "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")}
    done = run_in(folder, sys.executable, "-m", "aigc", "mend", check=False, **asked)
    assert done.returncode == 1 and (folder / "dvc.lock").exists()
    remedy = f"git config --global --add safe.directory '{folder}'"
    assert (
        done.stderr.startswith("error: ")
        and done.stderr.endswith(f"if you trust it: {remedy}\n")
        and done.stderr.count("\n") == 1
    )
    run_in(folder, "sh", "-c", remedy, **asked)
    assert "restored from git" in run_in(folder, sys.executable, "-m", "aigc", "mend", **asked).stderr
