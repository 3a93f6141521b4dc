"""The settings of sampling that a method lets be chosen, with their ranges, as a page can offer them."""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from aigc import methods
from aigc.model.card import Card

FINE = 0.05  # between two values of a setting that is no whole number
ROOM = 4  # a slider without an upper bound, or with a far one, ends at this many times the model's own value


@dataclass(frozen=True)
class Setting:
    """One setting. words: what it may be, where it is a word; else it is a number in [low, high]."""

    name: str
    value: Any
    words: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    step: float = 1

    def text(self, value: Any) -> str:
        """A chosen value as `aigc generate` takes it: "euler", "6", "1.6"."""
        if self.words:
            return str(value)
        return str(int(value)) if isinstance(self.value, int) else repr(round(float(value), 6))


def settings_of(card: Card) -> list[Setting]:
    """Those that the method of this model names as its `sampling_settings`, with the model's own values."""
    fields = methods.config_class(card.method).model_fields
    return [_setting(name, card.config[name], fields[name].annotation, fields[name].metadata)
            for name in methods.method_class(card.method).sampling_settings]


def _setting(name: str, value: Any, annotation: Any, bounds: Any) -> Setting:
    if get_origin(annotation) is Literal:
        return Setting(name, value, words=get_args(annotation))
    step = 1 if isinstance(value, int) else FINE
    stated = {key: getattr(bound, key) for bound in bounds for key in ("ge", "gt", "le", "lt")
              if getattr(bound, key, None) is not None}
    low = max(stated.get("ge", -math.inf), stated.get("gt", -math.inf) + step)
    high = min(stated.get("le", math.inf), stated.get("lt", math.inf) - step, ROOM * max(abs(value), 1))
    return Setting(name, value, low=min(value, low if math.isfinite(low) else -high),
                   high=max(value, high), step=step)
