"""Renders HTML pages, each one file that needs no network: pictures and styles are embedded."""

import base64
from pathlib import Path
from typing import Any

import jinja2

REPORT = "page.html"


def render(template: str, **facts: Any) -> bytes:
    """A page as UTF-8. template: a file in this folder. facts: the variables of the template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True)
    environment.filters["embed"] = embed
    environment.filters["number"] = number
    return environment.get_template(template).render(**facts).encode()


def number(value: float | None, digits: int = 4) -> str:
    """The value with `digits` significant digits; from 1000 on rounded to an integer. None becomes a dash."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def embed(png: bytes) -> str:
    """A PNG as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
