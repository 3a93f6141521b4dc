"""Each line of docs/tutorial.md's code blocks is run, in order, in one shell, on pictures of one's own."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc import cli
from aigc.model.card import read_card
from projects import ROOT, copy_project, environment_of

PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
LINES = [line.strip() for line in PAGE.splitlines() if line.startswith("    ")]
COUNT = 1500  # pictures
LIMIT = 3600  # seconds, of all lines together: a shell that hangs ends


def test_it_links_pages_that_exist_and_names_commands_that_exist() -> None:
    assert not [name for name in re.findall(r"\]\(([^)#:]+)\)", PAGE) if not (ROOT / "docs" / name).exists()]
    named = {words[1] for line in LINES if (words := line.split())[0] == "aigc"}
    known = {word for name in cli.COMMANDS for word in (name.partition("_")[0], name.replace("_", "-"))}
    assert named <= known, f"docs/tutorial.md uses commands that aigc lacks: {sorted(named - known)}"


def lay_out(home: Path, digits: tuple[np.ndarray, np.ndarray]) -> Path:
    """Pictures below `home`, and a project with short trainings and the environment of these tests."""
    images, labels = digits
    every = np.arange(COUNT) * (len(images) // COUNT)
    for index in every:
        place = home / "pictures" / f"class{labels[index]}" / f"{index}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[index, 0]).save(place)
    for index in every[:400] + 1:  # darker ones, which come later
        place = home / "more" / f"class{labels[index]}" / f"later{index}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[index, 0] // 2).save(place)
    project = copy_project(home / "project")
    params = (project / "params.yaml").read_text(encoding="utf-8")
    (project / "params.yaml").write_text(params.replace("methods: [vae, gan]", "methods: [vae, dcgan]"),
                                         encoding="utf-8")
    (project / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (project / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    (project / ".venv/runtime").touch()  # newer than the lock: make installs nothing
    return project


@pytest.mark.slow
def test_every_line_does_what_the_page_says(tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    project = lay_out(tmp_path, digits)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    lines = [line.replace("8000", port) for line in LINES]
    environment = environment_of(HOME=str(tmp_path), PYTHONPATH=str(project / "src"), OMP_NUM_THREADS="1")
    with subprocess.Popen(["bash", "-exc", "\n".join(lines)], cwd=project, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as shell:
        try:
            said, _ = shell.communicate(timeout=LIMIT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)  # a server that still runs
    assert shell.returncode == 0, said[-4000:]
    assert "licence: \"CC0-1.0\"" in (project / "params.yaml").read_text(encoding="utf-8")
    assert (project / "reports/report.html").stat().st_size > 100_000
    assert len(list((project / "made").glob("*.png"))) == 9 and (project / "more.png").exists()
    assert "license: cc0-1.0" in (project / "shared/README.md").read_text(encoding="utf-8")
    assert "**Passed.**" in (project / "shared/README.md").read_text(encoding="utf-8")
    assert (project / "answer.json").stat().st_size > 1000
    assert Image.open(project / "one.png").size == (28, 28)
    assert "drift_mean" in said  # the gate told it
    child = read_card(project / "models/dcgan")
    assert len(child.ancestors) == 1 and child.data_sha256 != read_card(
        next((project / "models/parents").glob("*/config.json")).parent).data_sha256
    assert "models:/aigc@champion is version 2" in said
