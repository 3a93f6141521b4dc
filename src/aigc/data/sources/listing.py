"""Which files of a folder, or of a table, are pictures, and of which class. Opens no picture, and nothing but regular files.

Files whose name starts with a dot are not looked at. A file is a picture by its suffix, or by its first bytes where the suffix says
nothing.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from aigc.core import config
from aigc.core.errors import DataError
from aigc.data.pictures import UNLABELLED
from aigc.data.sources.contract import Rejected
from aigc.data.sources.decoding import insist_on_a_file, shown
from aigc.data.sources.kinds import NETPBM

SUFFIXES = frozenset((".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib",
                      ".tif", ".tiff", ".gif", ".pbm", ".pgm", ".ppm", ".pnm",
                      ".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl"))  # those of the last line are found, and quarantined: no rule decodes them
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a",
              b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
BMP_HEADERS = frozenset(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))
KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFDIR: "a folder"}
NO_CLASS = "beside the class folders, so without a class"


@dataclass
class Listing:
    """paths, relative to root, and labels of what may be opened; the rest with reasons."""

    root: Path
    classes: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    ignored: int = 0

    def add(self, path: str, label: int, reason: str) -> None:
        """Note one picture: usable where there is no reason against it."""
        if reason:
            self.rejected.append(Rejected(shown(path), reason, "find"))
        else:
            self.paths.append(path)
            self.labels.append(label)


def in_folder(root: Path) -> Listing:
    """The pictures of a folder: each sub-folder is a class; without sub-folders they are unlabelled. In order of their names' bytes.

    Raises DataError for a folder without pictures, for an empty class, and for a link to a folder outside (it would be lost silently).
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; `data.path` in params.yaml says where the pictures lie")
    entries = _entries(root, "")
    folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    listing = Listing(root.resolve(), classes=[shown(name) for name in folders])
    for path, reason in _pictures(listing, ""):
        if folders:
            listing.rejected.append(Rejected(shown(path), reason or NO_CLASS, "find" if reason else "label"))
        else:
            listing.add(path, UNLABELLED, reason)
    for label, name in enumerate(folders):
        before = len(listing.paths) + len(listing.rejected)
        for path, reason in _pictures(listing, name, deep=True):
            listing.add(path, label, reason)
        if len(listing.paths) + len(listing.rejected) == before:
            raise DataError(f"{root / shown(name)}: no picture in this class folder; fill it, remove it, or start its name with a dot")
    if not listing.paths and not listing.rejected:
        raise DataError(f"{root}: no picture found; put PNG, JPEG, WebP, BMP, TIFF or GIF files there, a folder a class")
    return listing


def _entries(root: Path, folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root / folder) as found:
            return sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise DataError(f"{shown(str(root / folder))}: cannot be listed ({error.strerror}); give permission to read it") from None


def _pictures(listing: Listing, folder: str, deep: bool = False) -> Iterator[tuple[str, str]]:
    """(path, reason against it or "") of each picture in a folder; with `deep`, of the folders in it too."""
    levels = [iter(_entries(listing.root, folder))]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
            continue
        path = entry.path.removeprefix(f"{listing.root}/")
        if entry.is_dir(follow_symlinks=False):
            if deep:
                levels.append(iter(_entries(listing.root, path)))
            continue
        reason = against(listing.root, path) if entry.is_symlink() else _against_plain(entry)
        if entry.is_symlink() and reason == KINDS[stat.S_IFDIR]:
            yield path, "a symbolic link to a folder that is read in its own place"
        elif _named_as_picture(path) or (not reason and _starts_as_picture(entry.path)):
            yield path, reason
        else:
            listing.ignored += 1


def _against_plain(entry: os.DirEntry[str]) -> str:
    """`against` for what is no link, in a folder that was reached by none."""
    try:
        kind = entry.stat(follow_symlinks=False).st_mode
    except OSError as error:
        return f"cannot be reached ({error.strerror})"
    return _against_kind(kind)


def against(root: Path, path: str) -> str:
    """Why `path` under `root` must not be opened; "" where it may. root: resolved. Looks, but opens nothing.

    Raises DataError for a symbolic link to a folder outside.
    """
    place = os.path.join(root, path)  # noqa: PTH118
    try:
        target = os.path.realpath(place, strict=True)  # a folder on the way may be a link too
        kind = os.stat(target).st_mode  # noqa: PTH116
        if not Path(target).is_relative_to(root):
            if stat.S_ISDIR(kind):
                raise DataError(f"{shown(place)}: a symbolic link to a folder outside of {root}; copy the folder there instead")
            return "a symbolic link out of the folder"
    except FileNotFoundError:
        return "a symbolic link to nothing" if os.path.islink(place) else "no such file"  # noqa: PTH114
    except OSError as error:
        return f"cannot be reached ({error.strerror})"
    return _against_kind(kind)


def _against_kind(kind: int) -> str:
    return "" if stat.S_ISREG(kind) else KINDS.get(stat.S_IFMT(kind), "not a regular file")


def _named_as_picture(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in SUFFIXES  # noqa: PTH122


def _starts_as_picture(place: str) -> bool:
    try:
        with open(place, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            start = stream.read(18)
    except OSError:
        return False
    webp, bmp = start[:4] == b"RIFF" and start[8:12] == b"WEBP", start[:2] == b"BM" and start[14:18] in BMP_HEADERS
    return webp or bmp or start.startswith(SIGNATURES) or bool(NETPBM.match(start))


def in_table(chosen: config.Data) -> Listing:
    """The pictures that a CSV file names, in its order; paths start at the table's folder.

    Raises DataError for a table that is missing, not CSV, empty, or without the columns that params.yaml names.
    """
    root, place = Path(chosen.path), Path(chosen.path) / chosen.table
    wanted = [chosen.path_column] + ([chosen.label_column] if chosen.label_column else [])
    insist_on_a_file(place)
    try:
        table = pd.read_csv(place, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{place}: no such table; `data.path` and `data.table` in params.yaml say where it lies") from None
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
        raise DataError(f"{place}: not readable as CSV in UTF-8 ({' '.join(str(error).split())})") from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first column for names of the rows
        raise DataError(f"{place}: its rows have more fields than the header has columns ({', '.join(map(str, table.columns))}); "
                        "quote what holds a comma, and let no row end in one")
    missing = [column for column in wanted if column not in table]
    if missing:
        raise DataError(f"{place}: no column `{missing[0]}` (it has {', '.join(map(str, table.columns))}); "
                        "`data.path_column` and `data.label_column` in params.yaml name them")
    if table.empty:
        raise DataError(f"{place}: no row; name a picture a row")
    names = table[chosen.label_column].tolist() if chosen.label_column else None
    classes = sorted({name for name in names or [] if name})
    numbers = {name: number for number, name in enumerate(classes)}
    listing = Listing(root.resolve(), classes)
    for row, (path, name) in enumerate(zip(table[chosen.path_column].tolist(), names or [None] * len(table), strict=True), start=1):
        if name == "":
            listing.rejected.append(Rejected(shown(path) or f"row {row}", "no label in the table", "label"))
        elif not path or "\0" in path:
            listing.rejected.append(Rejected(shown(path) or f"row {row}", "no path in the table", "find"))
        elif os.path.isabs(path) or ".." in Path(path).parts:  # noqa: PTH117
            listing.add(path, UNLABELLED, "leads out of the table's folder")
        else:
            listing.add(path, UNLABELLED if name is None else numbers[name], against(listing.root, path))
    return listing
