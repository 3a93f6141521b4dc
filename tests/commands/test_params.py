"""`aigc params` says of each key what it is worth, what git has, what it may be and what it means."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aigc import cli
from aigc.core import config
from projects import ROOT, run_in


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """params.yaml as it is committed, in a repository of its own."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    run_in(tmp_path, "git", "init", "-q")
    run_in(tmp_path, "git", "add", "-A")
    run_in(tmp_path, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "a")
    return tmp_path


Rows = Callable[..., dict[str, list[str]]]


@pytest.fixture
def rows_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rows:
    def rows(folder: Path, *section: str) -> dict[str, list[str]]:
        monkeypatch.chdir(folder)
        assert cli.main(["params", *section]) == 0
        return parsed(capsys.readouterr().out.splitlines())

    return rows


def parsed(lines: list[str]) -> dict[str, list[str]]:
    """{key: [value, default, range, meaning]} of what is printed; columns are two spaces apart."""
    starts = [lines[0].index(name) for name in ("key", "value", "default", "range", "meaning")]
    cut = [
        [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        for line in lines[1:]
    ]
    return {key: rest for key, *rest in cut}


def test_every_key_of_params_yaml_has_its_value_its_range_and_its_meaning(
        project: Path, rows_of: Rows) -> None:
    found = rows_of(project)
    content = config.read(ROOT / "params.yaml")
    expected = config.flatten({name: part for name, part in content.items() if name not in config.UNPARSED})
    assert found.keys() == expected.keys()
    for key, (value, default, bounds, meaning) in found.items():
        assert value == default and bounds, key
        assert meaning, f"{key}: params.yaml has no comment on it"
    assert found["train.seed"] == [
        "0",
        "0",
        "int, ≥ 0, < 4294967296",
        "0 to 2^32 - 1: of the weights, the order of the pictures and the noise",
    ]
    assert found["runtime.arithmetic"][2] == "portable | fast"
    assert found["validate.warn"][0] == "[near_duplicates, imbalance]"
    assert found["validate.warn"][2].startswith("list of rows | ")


def test_a_method_has_what_it_shares_and_its_own_value_stands_before_the_shared_one(
        project: Path, rows_of: Rows) -> None:
    found = rows_of(project, "wgan_gp")
    assert all(key.startswith("wgan_gp.") for key in found)
    assert found["wgan_gp.beta1"][0] == "0.0" and found["wgan_gp.beta2"][0] == "0.9"
    assert found["wgan_gp.cutout"][3].startswith("side of the square that is blanked")


def test_a_value_that_is_not_the_committed_one_is_marked(
        project: Path, rows_of: Rows) -> None:
    params = project / "params.yaml"
    params.write_text(re.sub(r"  cutout: 0\.0 ", "  cutout: 0.2 ", params.read_text()))
    found = rows_of(project)
    assert {key for key, (value, *_) in found.items() if value.endswith("*")} == {
        f"{name}.cutout" for name in ("gan", "dcgan", "wgan_gp", "cgan", "r3gan", "stylegan")}
    assert found["gan.cutout"][:2] == ["0.2 *", "0.0"]


def test_without_a_repository_nothing_has_a_default(
        project: Path, rows_of: Rows) -> None:
    shutil.rmtree(project / ".git")
    assert {default for _, default, *_ in rows_of(project, "gan").values()} == {""}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("dcgam", "error: no section `dcgam` in params.yaml; did you mean `dcgan`?\n"),
        ("shared", "error: no section `shared` in"),
    ],
)
def test_a_section_that_is_none_is_one_line(
        project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], section: str,
        said: str) -> None:
    monkeypatch.chdir(project)
    assert cli.main(["params", section]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(said) and printed.count("\n") == 1
