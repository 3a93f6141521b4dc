"""What git says is believed; what it refuses to say is shown, and is never taken for a clean tree."""

import subprocess
from pathlib import Path

import pytest

from aigc.core.errors import AigcError
from aigc.training.observer import Training
from aigc.workspace import git
from conftest import run_in


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


def test_a_repository_of_another_owner_is_refused_with_gits_own_words_and_is_never_clean(of_another_owner: Path) -> None:
    for ask in (git.is_repository, git.uncommitted, git.top, lambda: git.committed(Path("a.py"))):
        with pytest.raises(AigcError, match="dubious ownership") as caught:
            ask()
        assert "\n" not in str(caught.value) and "safe.directory" in str(caught.value)


def test_a_run_in_a_repository_of_another_owner_says_unknown_and_not_clean(
        of_another_owner: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from aigc.tracking import store
    from aigc.tracking.run import training_run

    training = Training("gan", "0123", {}, {}, of_another_owner, "d" * 64, steps=10, previews=1, is_repeat=False)
    with training_run(training) as run:
        run_id = run.run_id
    tags = store.open_store()[0].get_run(run_id).data.tags
    assert tags["aigc.git_dirty"] == "unknown" and "mlflow.source.git.commit" not in tags
    assert "warning: the MLflow run names no commit" in capsys.readouterr().err


def test_a_folder_without_a_repository_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert not git.is_repository()
    assert git.committed(Path("a.py")) is None
