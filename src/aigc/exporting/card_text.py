"""The text of a model card, card.md filled with a model's facts."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from aigc.exporting.facts import ENERGY, SECONDS, Facts
from aigc.metrics import table
from aigc.model.card import Card

TEMPLATE = Path(__file__).with_name("card.md")
MOST_CLASSES = 20  # that are listed by name
SHORT = {"precision": "part of the samples do not look like real pictures",
         "recall": "it leaves out part of the variety of real pictures"}


def page(card: Card, facts: Facts, **about: Any) -> str:
    """The card without its metadata block, as Markdown.

    about: summary, of the method; translates, conditional: its capabilities; parameters: how many weights;
    onnx: whether ONNX files are beside it; picture: the file of samples, "" where there is none.
    """
    metrics = facts.metrics
    rows = [(metric.heading, metrics[metric.name]) for metric in table.on_page("report")
            if metric.name in metrics]
    short = [(name, metrics[name], meaning) for name, meaning in SHORT.items()
             if _is_short(metrics.get(name))]
    near = metrics.get("memorization", {}).get("pixels", {}).get("near_duplicates")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                                     keep_trailing_newline=True)
    environment.filters.update(plain=plain, stated=lambda text: plain(text) or "not stated", shown=_shown,
                               interval=_interval)
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        card=card, metrics=metrics, protocol=metrics.get("protocol", {"extractor": ""}), rows=rows,
        short=short, near=near, passes=facts.passes, seconds=facts.costs.get(SECONDS),
        energy=facts.costs.get(ENERGY), most_classes=MOST_CLASSES, **about)
    return re.sub(r"\n{3,}", "\n\n", text)


def plain(text: str) -> str:
    """Text of a user's on one line, with no meaning in Markdown."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _is_short(number: Mapping[str, float] | None) -> bool:
    """Whether a share is below that of real pictures, by more than its interval."""
    return number is not None and "floor" in number and number.get("high", number["value"]) < number["floor"]


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | int) else ""


def _interval(number: Mapping[str, float]) -> str:
    return f"[{number['low']:.4g}, {number['high']:.4g}]" if {"low", "high"} <= number.keys() else ""
