"""Hashes name what they are of."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from aigc.core import hashes
from aigc.workspace import git
from conftest import run_in


def test_an_arrays_hash_sees_content_shape_and_type() -> None:
    base = np.arange(12, dtype=np.int64)
    others = [base.reshape(3, 4), base.astype(np.float64), base[::-1], np.append(base, 0)]
    assert len({hashes.array_sha256(array) for array in (base, *others)}) == 5
    assert hashes.array_sha256(base) == hashes.array_sha256(base.copy())


def test_the_patch_of_uncommitted_work_makes_it_again_elsewhere_and_holds_no_untracked_file_that_is_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    odd = {"src/new file.bin": bytes(range(256)), "größe.py": "Maß\r\n".encode("latin-1"), "crlf.yaml": b"one\r\ntwo\r\n"}
    others = {"photos/1.png": b"1", "weights.pth": b"2", ".env": b"SECRET=3", "venv2/lib/a.py": b"4", "src/big.py": b"#" * (1 << 20) + b"\n"}
    for name, content in {**odd, **others}.items():
        (start / name).parent.mkdir(parents=True, exist_ok=True)
        (start / name).write_bytes(content)
    run_in(start, "git", "config", "diff.noprefix", "true")
    monkeypatch.chdir(start)
    subprocess.run(["git", "apply"], cwd=copy, input=git.uncommitted(), check=True)
    assert (copy / "a.txt").read_text() == "two\n"
    assert {name: (copy / name).read_bytes() for name in odd} == odd
    assert not [name for name in others if (copy / name).exists()]
