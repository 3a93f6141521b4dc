"""The lines that docs/own-pictures.md tells a person to type do what it says."""

import re
import shutil
from pathlib import Path

from projects import ROOT, run_in


def test_pictures_that_lie_elsewhere_are_imported_by_the_lines_of_the_page(tmp_path: Path) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for place in (elsewhere / "cats/1.png", project / ".dvc/config"):
        place.parent.mkdir(parents=True)
        place.touch()
    for name in (".gitignore", "data/.gitignore", "data/source/README.md"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    run_in(project, "git", "init", "-q")
    run_in(project, "git", "add", ".")
    page = (ROOT / "docs/own-pictures.md").read_text()
    line = re.search(r"^ +(dvc import-url) (\S+) (data/pets)$", page, re.MULTILINE)
    assert line
    run_in(project, *line[1].split(), elsewhere, line[3])
    assert (project / "data/pets/cats/1.png").exists()
    assert (
        run_in(project, "git", "status", "--porcelain", "--untracked-files=all", "data").stdout.count(
            "data/pets.dvc"
        )
        == 1
    )
