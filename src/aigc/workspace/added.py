"""Folders that are put below the project for good: git and DVC are told of them.

All of it or nothing: what fails on the way, or in the block of the caller, is undone.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE

from aigc.core import files, process
from aigc.core.errors import AigcError, StorageError
from aigc.workspace import git


@contextmanager
def with_dvc(place: Path, fill: Callable[[Path], None], otherwise: str) -> Iterator[None]:
    """Make the folder `place` by `fill`, which gets an empty folder; `dvc add` and `git add` it.

    otherwise: the second remedy where the disk refuses. Raises StorageError or AigcError where that fails.
    """
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    pointer = place.with_name(f"{place.name}.dvc")

    def add() -> None:
        try:
            temporary.mkdir(parents=True)
            fill(temporary)
            temporary.rename(place)
        except OSError as error:
            raise StorageError(f"{place}: cannot be written ({error.strerror or error}); make room or give "
                               f"permission there, or {otherwise}") from None
        done = process.call([sys.executable, "-m", "dvc", "add", "--quiet", str(place)],
                            stdout=PIPE, stderr=PIPE)
        if done.returncode:
            raise AigcError(f"`dvc add {place}` failed: {process.reason(done.stderr)}")

    with told(place, add, [pointer], temporary):
        yield


@contextmanager
def told(place: Path, work: Callable[[], None], tracked: list[Path],
         temporary: Path | None = None) -> Iterator[None]:
    """Do `work`, and `git add` the files `tracked` and the .gitignore there; undo all if the block raises."""
    ignored = place.with_name(".gitignore")
    staged = [str(path) for path in (*tracked, ignored)]
    before = ignored.read_bytes() if ignored.exists() else None
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
                ignored.unlink(missing_ok=True)
            elif ignored.read_bytes() != before:
                files.write_bytes(ignored, before)
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
