"""What `aigc play` cannot do is one line, before a server starts."""

import shutil
import socket
import sys
from pathlib import Path

import pytest

from projects import ROOT, Run, run_in
from small import small_model


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def said(aigc: Run, folder: Path, *words: object) -> str:
    done = aigc(folder, "play", *words, check=False)
    error, = done.stderr.splitlines()
    assert done.returncode == 1 and done.stdout == ""
    return error.removeprefix("error: ")


@pytest.mark.parametrize(("words", "why"), [
    ([], "models/: no trained model; `dvc repro` makes them, `dvc checkout` restores them"),
    (["vae"], "models/vae: no model yet; `dvc repro train@vae` makes it, `dvc checkout` restores it"),
    (["vea"], "vea: missing; a model is its folder, a run id, models:/… or runs:/…"),
    (["--port", "0"], "--port 0: a port is between 1 and 65535"),
    (["--port", "65536"], "--port 65536: a port is between 1 and 65535"),
])
def test_what_is_not_there_is_one_line(aigc: Run, project: Path, words: list[str], why: str) -> None:
    assert said(aigc, project, *words) == why


def test_without_the_extra_it_is_named(
    aigc: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert said(aigc, project) == "aigc play needs gradio; pip install -e .[play]"


def test_a_port_in_use_is_one_line(project: Path) -> None:
    small_model(project / "models", "gan")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run_in(project, sys.executable, "-m", "aigc", "play", "--port", port, check=False,
                      PYTHONPATH=str(ROOT / "src"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: --port {port}: in use, or not allowed; name another\n"
