"""Renders HTML pages, each one file that needs no network: pictures, styles and scripts are embedded.

The pages work without their scripts, which add sorting, the choice of a theme and the animation.
"""

import base64
from pathlib import Path
from typing import Any

import jinja2

REPORT, RUNS = "page.html", "runs.html"


def render(template: str, **facts: Any) -> bytes:
    """A page as UTF-8. template: a file in this folder. facts: the variables of the template."""
    return environment().get_template(template).render(**facts).encode()


def environment() -> jinja2.Environment:
    """The templates of this folder, with the filters that they use."""
    made = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True,
                              undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["embed"] = embed
    made.filters["number"] = number
    return made


def number(value: float | None, digits: int = 4) -> str:
    """The value with `digits` significant digits; from 1000 on rounded to an integer. None becomes a dash."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def embed(picture: bytes, kind: str = "png") -> str:
    """A picture as a data URI. kind: its format, png or webp."""
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
