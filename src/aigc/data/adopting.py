"""`aigc data use --copy` and `--link`: the pictures below data/, and git and DVC told of them.

All of it or nothing: what fails on the way, or in the block of the caller, is undone.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aigc.core import files
from aigc.core.errors import ConfigError, StorageError
from aigc.data.config import DataConfig
from aigc.data.sources import listing, table
from aigc.workspace import added

DATA = Path("data")
IGNORED = DATA / ".gitignore"
TAKEN = ("raw", "processed", "generated", "reference", "source")  # folders of data/ that are the pipeline's
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def place_for(path: Path, name: str | None) -> Path:
    """Where below data/ the pictures at `path` go. name: None = that of their folder or file.

    Raises ConfigError for a name that is no plain one, StorageError where something is there already.
    """
    if name is None:
        known = path.resolve()
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", known.name if known.is_dir() else known.stem).strip("-.")[:64]
        name = name if name and name not in TAKEN else "pictures"
    if not NAME.fullmatch(name):
        raise ConfigError(f"--name {name}: take up to 64 letters, digits, dots, dashes and underscores, a "
                          "letter or a digit first")
    place = DATA / name
    if name in TAKEN or any(map(os.path.lexists, (place, place.with_name(f"{name}.dvc")))):
        raise StorageError(f"{place}: is there already, or the pipeline's own; choose another --name")
    return place


def root_of(data: DataConfig) -> Path:
    """The folder of a source's files."""
    path = Path(data.path)
    return path.parent if path.is_file() else path


def path_below(data: DataConfig, place: Path) -> str:
    """What `data.path` is, once the files of the source lie in `place`."""
    return str(place / Path(data.path).relative_to(root_of(data)))


@contextmanager
def copied(data: DataConfig, place: Path) -> Iterator[None]:
    """Copy the pictures to `place`, `dvc add` and `git add` them. Raises StorageError where that fails."""
    def fill(folder: Path) -> None:
        for name in _files(data):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root_of(data) / name, folder / name)

    with added.with_dvc(place, fill, "leave --copy out"):
        yield


@contextmanager
def linked(data: DataConfig, place: Path) -> Iterator[None]:
    """Make `place` a symbolic link to the folder of the pictures, which git does not track.

    Raises StorageError where that fails.
    """
    def link() -> None:
        try:
            place.symlink_to(root_of(data).resolve(), target_is_directory=True)
        except OSError as error:
            raise StorageError(f"{place}: cannot be written ({error.strerror or error}); give permission "
                               "there, or leave --link out") from None
        before = IGNORED.read_bytes() if IGNORED.exists() else b""
        gap = b"" if not before or before.endswith(b"\n") else b"\n"
        files.write_bytes(IGNORED, before + gap + f"/{place.name}\n".encode())

    with added.told(place, link, []):
        yield


def _files(data: DataConfig) -> list[str]:
    """What the source reads, relative to its folder. Links are followed, files that are no pictures left."""
    path = Path(data.path)
    if path.is_file():
        return [path.name]
    if data.source == "folder":
        return listing.in_folder(path).paths
    if data.source == "csv":
        return [data.table, *dict.fromkeys(table.in_table(data).paths)]
    return sorted(entry.name for entry in path.iterdir()
                  if entry.is_file() and not entry.name.startswith("."))
