"""A clone has the committed bytes under any setting of line ends: dvc.lock names them by their hash."""

from pathlib import Path

import pytest

from projects import ROOT, run_in


def contents(folder: Path) -> dict[str, bytes]:
    names = run_in(folder, "git", "ls-files", "-z").stdout.split("\0")
    return {name: (folder / name).read_bytes() for name in filter(None, names)}


@pytest.mark.parametrize(
    "switches",
    [
        ["core.autocrlf=true"],
        ["core.autocrlf=input"],
        ["core.eol=crlf"],
        ["core.autocrlf=true", "core.fileMode=false", "core.eol=crlf"],
    ],
    ids=" ".join,
)
def test_a_clone_has_the_same_bytes_under_any_setting_of_line_ends(
    tmp_path: Path, switches: list[str]
) -> None:
    run_in(tmp_path, "git", "-c", "core.autocrlf=false", "clone", "-q", ROOT, "plain")
    settings = [word for switch in switches for word in ("-c", switch)]
    run_in(
        tmp_path,
        "sh",
        "-c",
        'umask 077 && git "$@"',
        "sh",
        *settings,
        "clone",
        "-q",
        *settings,
        ROOT,
        "switched",
    )
    plain, switched = contents(tmp_path / "plain"), contents(tmp_path / "switched")
    assert len(plain) > 100 and [name for name in plain if switched[name] != plain[name]] == []
    assert run_in(tmp_path / "switched", "git", "status", "--porcelain").stdout == ""
