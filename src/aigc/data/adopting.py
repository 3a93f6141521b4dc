"""`aigc data use --copy` and `--link`: the pictures below data/, and git and DVC told of them.

All of it or nothing: what fails on the way, or in the block of the caller, is undone.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE

from aigc.core import files, process
from aigc.core.errors import AigcError, ConfigError, StorageError
from aigc.data.config import DataConfig
from aigc.data.sources import listing, table
from aigc.workspace import git

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
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")

    def copy() -> None:
        try:
            for name in _files(data):
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root_of(data) / name, temporary / name)
            temporary.rename(place)
        except OSError as error:
            raise StorageError(f"{place}: cannot be written ({error.strerror or error}); make room or give "
                               "permission there, or leave --copy out") from None
        done = process.call([sys.executable, "-m", "dvc", "add", "--quiet", str(place)],
                            stdout=PIPE, stderr=PIPE)
        if done.returncode:
            raise AigcError(f"`dvc add {place}` failed: {process.reason(done.stderr)}")

    with _told(place, copy, [place.with_name(f"{place.name}.dvc")], temporary):
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

    with _told(place, link, []):
        yield


@contextmanager
def _told(place: Path, work: Callable[[], None], tracked: list[Path],
          temporary: Path | None = None) -> Iterator[None]:
    """Do `work`, and `git add` the files `tracked` and data/.gitignore; undo all if the block raises."""
    staged = [str(path) for path in (*tracked, IGNORED)]
    before = IGNORED.read_bytes() if IGNORED.exists() else None
    is_staged = False
    try:
        work()
        if git.is_repository():
            git.run("add", "--", *staged)
            is_staged = True
        yield
    except BaseException:
        with suppress(AigcError, OSError):
            for path in (place, *tracked):
                _remove(path)
            if before is None:
                IGNORED.unlink(missing_ok=True)
            elif IGNORED.read_bytes() != before:
                files.write_bytes(IGNORED, before)
            if is_staged:
                git.run("reset", "--quiet", "--", *staged)
        raise
    finally:
        if temporary:
            _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # on a read-only disk there is nothing to remove
            path.unlink(missing_ok=True)


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
