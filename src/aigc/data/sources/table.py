"""The pictures that a CSV table names, and the paths in it as people write them. Decodes nothing."""

import os
from pathlib import Path

import pandas as pd

from aigc.core.errors import DataError
from aigc.data.config import DataConfig
from aigc.data.pictures import UNLABELLED
from aigc.data.sources import names
from aigc.data.sources.contract import Rejected
from aigc.data.sources.decoding import insist_on_a_file, shown
from aigc.data.sources.listing import NO_FILE, Listing, against, other_kind

OUTSIDE = "leads out of the table's folder"


def in_table(data: DataConfig) -> Listing:
    """The pictures that a CSV file names, in its order; paths start at the table's folder.

    Spaces around a label do not count. Raises DataError for a table that is missing, not CSV, empty, without
    the columns that params.yaml names, or with two labels that look the same.
    """
    root, place = Path(data.path), Path(data.path) / data.table
    table = _read(place, data)
    written = table[data.label_column].tolist() if data.label_column else None
    labels = [label.strip() for label in written] if written is not None else None
    classes = sorted({label for label in labels or [] if label})
    # By what was written, so that labels that differ in spaces alone are named too.
    warnings = names.check_distinct(sorted({label for label in written or [] if label.strip()}), place)
    numbers = {label: number for number, label in enumerate(classes)}
    listing = Listing(root.resolve(), classes, warnings=warnings)
    places = Places(root, listing.root)
    rows = zip(table[data.path_column].tolist(), labels or [None] * len(table), strict=True)
    for row, (path, name) in enumerate(rows, start=1):
        if name == "":
            listing.rejected.append(Rejected(shown(path) or f"row {row}", "no label in the table", "label"))
        elif not path or "\0" in path:
            listing.rejected.append(Rejected(shown(path) or f"row {row}", "no path in the table", "find"))
        else:
            listing.add(*places.find(path, UNLABELLED if name is None else numbers[name]))
    return listing


def _read(place: Path, data: DataConfig) -> pd.DataFrame:
    """The table as texts, with the columns that params.yaml names and a row at least."""
    insist_on_a_file(place)
    try:
        table = pd.read_csv(place, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{place}: no such table; `data.path` and `data.table` in params.yaml say where it "
                        "lies") from None
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
        raise DataError(f"{place}: not readable as CSV in UTF-8 ({' '.join(str(error).split())})") from None
    columns = ", ".join(map(str, table.columns))
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first column for names of the rows
        raise DataError(f"{place}: its rows have more fields than the header has columns ({columns}); quote "
                        "what holds a comma, and let no row end in one")
    wanted = [data.path_column] + ([data.label_column] if data.label_column else [])
    missing = [column for column in wanted if column not in table]
    if missing:
        raise DataError(f"{place}: no column `{missing[0]}` (it has {columns}); `data.path_column` and "
                        "`data.label_column` in params.yaml name them")
    if table.empty:
        raise DataError(f"{place}: no row; name a picture a row")
    return table


class Places:
    """Paths of a table -> files of its folder."""

    def __init__(self, written: Path, root: Path) -> None:
        """written: the folder as params.yaml names it; root: the same, resolved."""
        self.root = root
        absolute = os.path.abspath(written)  # noqa: PTH100
        self.starts = [f"{folder}/" for folder in dict.fromkeys((absolute, str(root)))]
        self._names: dict[str, dict[str, str]] = {}

    def find(self, path: str, label: int) -> tuple[str, int, str]:
        """(path under the root, label, reason against it or "").

        Where there is no such file, it is looked for with slashes for backslashes, without spaces around it,
        and by names whose accents are written in Unicode's other form.
        """
        reason = ""
        slashed = path.replace("\\", "/")
        for candidate in dict.fromkeys((path, slashed, path.strip(), slashed.strip())):
            inside = self._inside(candidate)
            if not inside:
                reason = OUTSIDE
                continue
            found = against(self.root, inside)
            if found == NO_FILE and (other := self._other_form(inside)):
                inside, found = other, against(self.root, other)
            if found != NO_FILE:
                return inside, label, found or other_kind(self.root, inside)
            reason = reason or found
        return path, label, reason

    def _inside(self, path: str) -> str:
        """The path as it starts at the root; "" where it leads out of it."""
        if os.path.isabs(path):  # noqa: PTH117
            forms = ((form, start) for form in (path, os.path.realpath(path)) for start in self.starts)
            path = next((form.removeprefix(start) for form, start in forms if form.startswith(start)), "..")
        if ".." in Path(path).parts:
            path = os.path.normpath(path)
        return "" if path.startswith("../") or path == ".." else path

    def _other_form(self, path: str) -> str:
        """The file whose name is the same letters in another Unicode form; "" where there is none."""
        if path.isascii():
            return ""
        place = ""
        for part in Path(path).parts:
            there = os.path.join(place, part)  # noqa: PTH118
            if not os.path.lexists(self.root / there):
                name = self._listed(place).get(names.nfc(part))
                if name is None:
                    return ""
                there = os.path.join(place, name)  # noqa: PTH118
            place = there
        return place

    def _listed(self, folder: str) -> dict[str, str]:
        """The names in a folder by their composed form."""
        if folder not in self._names:
            try:
                listed = sorted(os.listdir(self.root / folder))  # noqa: PTH208
                self._names[folder] = {names.nfc(name): name for name in listed}
            except OSError:
                self._names[folder] = {}
        return self._names[folder]
