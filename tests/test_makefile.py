"""make works wherever the project lies."""

from pathlib import Path

from conftest import ROOT, run_in


def test_a_folder_whose_name_has_a_space_is_set_up_by_its_own_pip(tmp_path: Path) -> None:
    project = tmp_path / "my work"
    pip = project / ".venv/bin/pip"
    pip.parent.mkdir(parents=True)
    pip.write_text('#!/bin/sh\necho "$0" "$@"\n')  # says what it was asked for: nothing is fetched
    pip.chmod(0o755)
    for name in ("requirements.lock", "requirements-dev.lock"):
        (project / name).touch()
    (project / "Makefile").write_text((ROOT / "Makefile").read_text())
    done = run_in(project, "make", "-s", ".venv/dev", "PYTHON=true")
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [[".venv/bin/pip", "install"]] * 3
    assert (project / ".venv/runtime").exists() and (project / ".venv/dev").exists()
