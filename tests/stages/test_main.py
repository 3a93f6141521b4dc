"""A stage is run by its name, in the project's root, as dvc.yaml does; everything else is one line."""

import sys
from pathlib import Path

import pytest

from projects import ROOT, run_in
from stores import CODE

STAGES = "aigc.stages"


@pytest.mark.parametrize(
    ("module", "arguments", "code", "said"),
    [
        (
            f"{STAGES}.validate",
            [],
            1,
            "error: a stage is run by `python -m aigc.stages NAME [METHOD]`, as dvc.yaml does",
        ),
        (
            f"{STAGES}.train",
            ["gan"],
            1,
            "error: a stage is run by `python -m aigc.stages NAME [METHOD]`, as dvc.yaml does",
        ),
        (STAGES, [], 2, "usage: python -m aigc.stages NAME [METHOD]"),
        (STAGES, ["train"], 1, "error: usage: python -m aigc.stages train METHOD"),
        (STAGES, ["validate", "gan"], 1, "error: usage: python -m aigc.stages validate"),
        (STAGES, ["validat"], 1, "error: no stage `validat`; did you mean `validate`?"),
        (STAGES, ["__main__"], 1, "error: no stage `__main__`"),
        (STAGES, ["train", "gam"], 1, "error: train gam: "),
    ],
)
def test_a_stage_that_cannot_be_run_is_one_line_and_no_success(
        tmp_path: Path, module: str, arguments: list[str], code: int, said: str) -> None:
    (tmp_path / "src").symlink_to(ROOT / "src")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    done = run_in(
        tmp_path, sys.executable, "-m", module, *arguments, check=False, PYTHONPATH="src", DVC_ROOT=str(ROOT)
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(said) and done.stderr.count("\n") == 1


def test_a_stage_outside_of_the_project_is_one_line_and_makes_nothing(tmp_path: Path) -> None:
    done = run_in(tmp_path, sys.executable, "-m", STAGES, "ingest", check=False, **CODE)
    assert done.returncode == 1 and not list(tmp_path.iterdir())
    assert (
        done.stderr
        == f"error: no params.yaml in {tmp_path}; run a stage in the project's root, as DVC does\n"
    )


def test_a_stage_whose_code_is_not_the_projects_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    done = run_in(tmp_path, sys.executable, "-m", STAGES, "ingest", check=False, **CODE)
    assert (
        done.returncode == 1
        and "but DVC hashed the code under" in done.stderr
        and done.stderr.count("\n") == 1
    )
