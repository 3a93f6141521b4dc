"""`aigc deps FILE` prints the stages that run again when FILE changes."""

import sys
from pathlib import Path

import pytest

from projects import ROOT, run_in
from stores import CODE

DEPS = (sys.executable, "-m", "aigc", "deps")
EVERY = "check, ingest, validate, preprocess, evaluator, reference, train, generate, evaluate, report"


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("src/aigc/cli.py", "no stage"),
        ("src/aigc/tracking/run.py", "no stage"),
        ("src/aigc/core/errors.py", "no stage"),
        ("src/aigc/stages/ingest.py", "ingest"),
        ("src/aigc/core/files.py", EVERY),
        ("requirements.lock", EVERY),
        ("src/aigc/methods/gan.py", "check, train@gan, generate@gan, evaluate@gan, report"),
        ("src/aigc/../aigc/stages/ingest.py", "ingest"),
        (f"{ROOT}/src/aigc/stages/ingest.py", "ingest"),
    ],
)
def test_a_file_names_the_stages_that_depend_on_it(file: str, stages: str) -> None:
    assert run_in(ROOT, *DEPS, file, **CODE).stdout == f"{file}: {stages}\n"


def test_from_a_sub_folder_a_file_is_named_from_there() -> None:
    done = run_in(ROOT / "src/aigc", *DEPS, "stages/ingest.py", "cli.py", **CODE)
    assert [line.rpartition("/src/aigc/")[2] for line in done.stdout.splitlines()] == [
        "stages/ingest.py: ingest",
        "cli.py: no stage",
    ]


def test_a_file_that_is_not_there_is_one_line() -> None:
    done = run_in(ROOT, *DEPS, "src/aigc/absent.py", check=False, **CODE)
    assert (done.returncode, done.stderr) == (1, "error: src/aigc/absent.py: no such file\n")


def test_dvc_yaml_is_read_as_utf_8_in_any_locale(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes() + "# ≥\n".encode())
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "requirements.lock").touch()
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert (
        run_in(tmp_path, *DEPS, "requirements.lock", **CODE, **locale).stdout
        == f"requirements.lock: {EVERY}\n"
    )
    run_in(tmp_path, *DEPS, **CODE, **locale)
    assert (tmp_path / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()
