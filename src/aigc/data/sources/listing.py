"""Which files of a folder are pictures, and of which class; which files may be opened. Decodes nothing, opens
only regular files.

Hidden files and what systems put beside pictures are left out (file_names.py). A file is a picture by its
suffix, or by its first bytes where the suffix says nothing.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aigc.core.errors import DataError
from aigc.data.pictures import UNLABELLED
from aigc.data.sources import file_names, names
from aigc.data.sources.contract import Rejected
from aigc.data.sources.decoding import shown

KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
         stat.S_IFBLK: "a device", stat.S_IFDIR: "a folder"}
NO_CLASS = "beside the class folders, so without a class"
LINK_OUT = "a symbolic link out of the folder"
LINK_TO_FOLDER = "a symbolic link to a folder that is read in its own place"
NO_FILE = "no such file"


@dataclass
class Listing:
    """paths, relative to root, and labels of what may be opened; the rest with reasons.

    ignored: files that are no pictures. left_out: what was not looked at or is no picture, by its name or
    suffix. warnings: lines for the user.
    """

    root: Path
    classes: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    ignored: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)

    def add(self, path: str, label: int, reason: str) -> None:
        """Note one picture: usable where there is no reason against it."""
        if reason:
            self.rejected.append(Rejected(shown(path), reason, "find"))
        else:
            self.paths.append(path)
            self.labels.append(label)

    def __len__(self) -> int:
        return len(self.paths) + len(self.rejected)


def in_folder(root: Path) -> Listing:
    """The pictures of a folder: each sub-folder is a class; without sub-folders they are unlabelled.

    In order of their names' bytes. Raises DataError for a folder without pictures, for an empty class, for
    two classes whose names look the same, and for a link to a folder outside (its pictures would be missing
    without a word).
    """
    listing = _listing(root)
    entries = _entries(listing, "")
    folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    listing.classes = [shown(name) for name in folders]
    listing.warnings = names.check_distinct(listing.classes, root)
    for path, reason in _pictures(listing, entries):
        if folders:
            listing.rejected.append(Rejected(shown(path), reason or NO_CLASS, "find" if reason else "label"))
        else:
            listing.add(path, UNLABELLED, reason)
    for label, name in enumerate(folders):
        before = len(listing)
        for path, reason in _pictures(listing, _entries(listing, name), deep=True):
            listing.add(path, label, reason)
        if len(listing) == before:
            raise DataError(f"{root / shown(name)}: no picture in this class folder; fill it, remove it, or "
                            "start its name with a dot")
    return _filled(listing, root)


def at_any_depth(root: Path) -> Listing:
    """The pictures of a folder and of all folders in it, without classes. In order of their names' bytes.

    A link to a file outside may be opened. Raises DataError for a folder without pictures, and for a link to
    a folder outside.
    """
    listing = _listing(root)
    for path, reason in _pictures(listing, _entries(listing, ""), deep=True, follow=True):
        if reason == LINK_TO_FOLDER:
            listing.left_out["links to folders inside"] += 1
        else:
            listing.add(path, UNLABELLED, reason)
    return _filled(listing, root)


def _listing(root: Path) -> Listing:
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; `data.path` in params.yaml says where the pictures are")
    return Listing(root.resolve())


def _filled(listing: Listing, root: Path) -> Listing:
    if not len(listing):
        rest = f" (left out: {summary(listing.left_out)})" if listing.left_out else ""
        raise DataError(f"{root}: no picture found{rest}; put PNG, JPEG, WebP, BMP, TIFF or GIF files there, "
                        "a folder a class")
    return listing


def summary(left_out: Counter[str], most: int = 20) -> str:
    """What was left out with its counts, in one line, in the order of the names."""
    parts = [f"{shown(name)} {count}" for name, count in sorted(left_out.items())]
    return ", ".join(parts[:most]) + (f" and {len(parts) - most} kinds more" if len(parts) > most else "")


def _entries(listing: Listing, folder: str) -> list[os.DirEntry[str]]:
    """What to look at in a folder, by the names' bytes; the rest is counted."""
    try:
        with os.scandir(listing.root / folder) as found:
            every = sorted(found, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        place = shown(str(listing.root / folder))
        raise DataError(f"{place}: cannot be listed ({error.strerror}); give permission to read it") from None
    looked_at = []
    for entry in every:
        if name := file_names.left_out_as(entry.name, entry.is_dir(follow_symlinks=False)):
            listing.left_out[name] += 1
            listing.ignored += not entry.name.startswith(".") and not entry.is_dir(follow_symlinks=False)
        else:
            looked_at.append(entry)
    return looked_at


def _pictures(listing: Listing, entries: list[os.DirEntry[str]], deep: bool = False,
              follow: bool = False) -> Iterator[tuple[str, str]]:
    """(path, reason against it or "") of each picture among the entries.

    deep: of the folders in them too. follow: a link to a file outside is no reason.
    """
    levels = [iter(entries)]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
            continue
        path = entry.path.removeprefix(f"{listing.root}/")
        if entry.is_dir(follow_symlinks=False):
            if deep:
                levels.append(iter(_entries(listing, path)))
            continue
        reason = against(listing.root, path) if entry.is_symlink() else _against_plain(entry)
        if follow and reason == LINK_OUT:
            reason = ""
        is_picture, other = _kind(entry.path, opens=not reason)
        if entry.is_symlink() and reason == KINDS[stat.S_IFDIR]:
            yield path, LINK_TO_FOLDER
        elif is_picture or other:
            yield path, reason or other
        else:
            listing.ignored += 1
            listing.left_out[file_names.suffix_of(path) or "files without a suffix"] += 1


def _kind(place: str, opens: bool) -> tuple[bool, str]:
    """(whether a file is a picture that may be decoded, else which other kind of picture it is).

    opens: whether its first bytes may be read where the suffix does not say enough.
    """
    suffix = file_names.suffix_of(place)
    if suffix in file_names.SUFFIXES:
        return True, ""
    head = _head(place) if opens else b""
    if file_names.starts_as_picture(head, suffix):
        return True, ""
    return False, file_names.other_kind(head, suffix)


def other_kind(root: Path, path: str) -> str:
    """The kind of a picture that is not decoded, with what to do; "" for others. Reads its first bytes."""
    return _kind(os.path.join(root, path), opens=True)[1]  # noqa: PTH118


def _head(place: str) -> bytes:
    try:
        with open(place, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            return stream.read(file_names.HEAD)
    except OSError:
        return b""


def _against_plain(entry: os.DirEntry[str]) -> str:
    """`against` for what is no link, in a folder that was reached by none."""
    try:
        kind = entry.stat(follow_symlinks=False).st_mode
    except OSError as error:
        return f"cannot be reached ({error.strerror})"
    return _against_kind(kind)


def against(root: Path, path: str) -> str:
    """Why `path` under `root` must not be opened; "" where it may. root: resolved. Opens nothing.

    Raises DataError for a symbolic link to a folder outside.
    """
    place = os.path.join(root, path)  # noqa: PTH118
    try:
        target = os.path.realpath(place, strict=True)  # a folder on the way may be a link too
        kind = os.stat(target).st_mode  # noqa: PTH116
        if not Path(target).is_relative_to(root):
            if stat.S_ISDIR(kind):
                raise DataError(f"{shown(place)}: a symbolic link to a folder outside of {root}; copy the "
                                "folder there instead")
            return _against_kind(kind) or LINK_OUT
    except FileNotFoundError:
        return "a symbolic link to nothing" if os.path.islink(place) else NO_FILE  # noqa: PTH114
    except OSError as error:
        return f"cannot be reached ({error.strerror})"
    return _against_kind(kind)


def _against_kind(kind: int) -> str:
    return "" if stat.S_ISREG(kind) else KINDS.get(stat.S_IFMT(kind), "not a regular file")
