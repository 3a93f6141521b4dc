"""make works wherever the project lies."""

from pathlib import Path

from projects import ROOT, run_in


def test_a_folder_whose_name_has_a_space_is_set_up_by_its_own_pip(tmp_path: Path) -> None:
    project = tmp_path / "my work"
    pip = project / ".venv/bin/pip"
    pip.parent.mkdir(parents=True)
    pip.write_text('#!/bin/sh\necho "$0" "$@"\n')  # says what it was asked for: nothing is fetched
    pip.chmod(0o755)
    for name in ("requirements.lock", "requirements-team.lock", "requirements-dev.lock"):
        (project / name).touch()
    (project / "Makefile").write_text((ROOT / "Makefile").read_text())
    done = run_in(project, "make", "-s", ".venv/dev", "PYTHON=true")
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [[".venv/bin/pip", "install"]] * 4
    assert (project / ".venv/runtime").exists() and (project / ".venv/dev").exists()


def test_make_outside_of_the_project_is_one_line_and_makes_nothing(tmp_path: Path) -> None:
    for target in ("repro", "test", "ui", "lint", "clean"):
        done = run_in(tmp_path, "make", "-f", ROOT / "Makefile", target, check=False)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and not list(tmp_path.iterdir())
        assert (
            f"no requirements.lock in {tmp_path}; run make in the project's root, or make -C ROOT"
            in done.stderr
        )


def test_an_older_python_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").touch()
    done = run_in(tmp_path, "make", "-s", "-f", ROOT / "Makefile", "ui", "PYTHON=false", check=False)
    assert (
        done.stderr.splitlines()[0]
        == "error: false is older than 3.11; name another with make PYTHON=python3.12"
    )
    assert not (tmp_path / ".venv").exists()
