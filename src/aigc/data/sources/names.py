"""Names of classes: no two may look the same, and each must have a picture."""

import re
import unicodedata
from collections.abc import Callable, Iterable

import numpy as np

from aigc.core.errors import DataError
from aigc.data.sources.decoding import shown

PAIRS = 3  # pairs of names that one line shows
INVISIBLE = frozenset(("Cc", "Cf"))  # Unicode categories: control, and format (zero width, direction)


def nfc(name: str) -> str:
    """A name in Unicode's composed form: macOS writes an accent as a character of its own, others do not."""
    return unicodedata.normalize("NFC", name)


def check_distinct(names: Iterable[str], place: object) -> list[str]:
    """Warnings about classes whose names differ little: in case, width or how a number is written.

    Raises DataError, naming `place` and both names, for two that look the same: they differ in spaces, in
    characters of no width or in the Unicode form of an accent, or not at all.
    """
    listed = list(names)
    if same := _pairs(listed, _as_seen):
        first, second = same[0]
        raise DataError(f'{place}: the classes "{shown(first)}" and "{shown(second)}" look the same '
                        f'({first!a} and '
                        f"{second!a}); join them, or give one another name")
    if alike := _pairs(listed, _loosely):
        pairs = ", ".join(f'"{shown(first)}" and "{shown(second)}"' for first, second in alike[:PAIRS])
        more = f", and {len(alike) - PAIRS} pairs more" if len(alike) > PAIRS else ""
        return [f"{place}: classes whose names differ in case or in writing alone: {pairs}{more}; "
                "join them if they are one class"]
    return []


def check_filled(labels: np.ndarray, classes: list[str], place: object, named: object = "") -> None:
    """Raises DataError, naming `place`, for a label without a picture: it would be trained, sampled and
    counted.

    labels: integers (N,), -1 = unlabelled. named: the file that names the classes, where there is one.
    """
    empty = np.flatnonzero(np.bincount(labels[labels >= 0], minlength=len(classes)) == 0)
    if not len(empty):
        return
    first, greatest = int(empty[0]), int(labels.max())
    if named:
        raise DataError(f'{place}: no picture has label {first}, which {named} names '
                        f'"{shown(classes[first])}"; add '
                        "pictures of it, or take its name out and number the labels from 0 without gaps")
    if len(empty) == int(labels[labels >= 0].min()):
        raise DataError(f"{place}: the labels start at {len(empty)}, so that no picture has label 0; "
                        f"subtract {len(empty)} from each label")
    raise DataError(f"{place}: no picture has label {first}, though labels go up to {greatest}; number the "
                    "classes from 0 without gaps")


def _pairs(names: list[str], key: Callable[[str], str]) -> list[tuple[str, str]]:
    """Each name whose key an earlier name has, after that name."""
    first: dict[str, str] = {}
    found = []
    for name in names:
        if key(name) in first:
            found.append((first[key(name)], name))
        else:
            first[key(name)] = name
    return found


def _as_seen(name: str) -> str:
    visible = "".join(" " if mark.isspace() else mark for mark in nfc(name)
                      if mark.isspace() or unicodedata.category(mark) not in INVISIBLE)
    return " ".join(visible.split())


def _loosely(name: str) -> str:
    text = unicodedata.normalize("NFKC", _as_seen(name)).casefold()
    number = re.fullmatch(r"0*(\d+)(\.0*)?", text)
    return number[1] if number else text

