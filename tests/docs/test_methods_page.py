"""docs/methods.md: what it shows exists, and nothing is left out."""

import ast
import json
import re
from pathlib import Path

import pytest

from aigc import methods
from aigc.core import config

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "methods.md").read_text()
SHOWN = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", PAGE)
LARGEST = 40_000  # bytes


@pytest.mark.parametrize("method", methods.available())
def test_every_method_is_explained_with_a_picture_of_its_samples(method: str) -> None:
    section = PAGE.split(f"\n## {method}\n")[1].split("\n## ")[0]
    for part in (
        "**Idea.**",
        "```math",
        f"(pictures/{method}.png)",
        "**When to use it.**",
        "**What goes wrong.**",
        "**Source.**",
    ):
        assert part in section


def test_every_picture_of_the_page_exists_and_is_small() -> None:
    assert SHOWN
    for name in SHOWN:
        assert 0 < (DOCS / name).stat().st_size < LARGEST, name


def test_every_mistake_that_was_measured_is_shown_and_the_reverse() -> None:
    measured = {
        f"pictures/mistake_{name}.png"
        for name in json.loads((DOCS / "pictures/mistakes.json").read_text())["mistakes"]
    }
    assert measured == {name for name in SHOWN if "mistake_" in name}


def test_the_mistakes_were_measured_with_the_methods_params_made_small_as_the_script_says() -> None:
    script = ast.parse((DOCS.parent / "benchmarks/mistakes.py").read_text())
    small = ast.literal_eval(
        next(
            node.value
            for node in script.body
            if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "SETTINGS"
        )
    )
    params = config.read(DOCS.parent / "params.yaml")
    for name, found in json.loads((DOCS / "pictures/mistakes.json").read_text())["mistakes"].items():
        method = found["method"]
        assert (
            found["config"]
            == methods.load_config(method, params).model_copy(update=small[method]).model_dump()
        ), name


def test_no_line_of_mathematics_holds_what_github_refuses() -> None:
    inline = re.findall(r"(?<!`)\$([^$\n`]+)\$", PAGE)
    assert inline
    for formula in inline:
        assert not re.search(r"\\[^a-zA-Z]", formula), (
            f"Markdown eats the backslash before punctuation: {formula}"
        )
    assert r"\operatorname" not in PAGE
