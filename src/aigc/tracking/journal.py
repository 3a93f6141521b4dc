"""What the store could not take, on disk until it is sent: entries in order, with copies of the files that
they name.

One folder a training, or an evaluation, and checkout. A line of its journal is one entry, or notes that one
was sent.
"""

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigc.core import files, hashes, paths
from aigc.tracking import store

LINES = "journal.jsonl"
LOCK = "lock"


@dataclass(frozen=True)
class Entry:
    """One thing to log. kind: a method of run.StoreWriter. content: JSON. files: name -> file or folder."""

    kind: str
    content: dict[str, Any]
    files: Mapping[str, Path] = field(default_factory=dict)


def folder_of(name: str) -> Path:
    """Where the entries of one training or evaluation wait: at home, since a temporary checkout is deleted.
    """
    return root() / f"{name}-{hashes.short_digest(str(Path.cwd()))[:8]}"


def root() -> Path:
    """The folder of all journals."""
    return store.home() / paths.CHECKPOINTS / "unsent"


class Journal:
    """The entries in one folder that wait, oldest first. state: what the writer of the first one must know.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state: dict[str, Any] = {}
        self.waiting: dict[int, Entry] = {}
        self._last = 0
        with suppress(FileNotFoundError):
            for line in (folder / LINES).read_text().splitlines():
                with suppress(ValueError):  # a line that a kill or a full disk cut
                    self._read(json.loads(line))

    def _read(self, record: dict[str, Any]) -> None:
        if "sent" in record:
            self.waiting.pop(record["sent"], None)
            self.state = record["state"]
        elif "entry" in record:
            self._last = record["entry"]
            if not self.waiting:
                self.state = record["state"]
            self.waiting[self._last] = Entry(
                record["kind"],
                record["content"],
                {name: self.folder / place for name, place in record["files"].items()},
            )

    def keep(self, entry: Entry, state: dict[str, Any]) -> None:
        """Add an entry with copies of its files. Raises StorageError or OSError where the disk is full."""
        number = self._last + 1
        places = {name: f"{number}/{name}" for name in entry.files}
        for name, place in places.items():
            _copy(entry.files[name], self.folder / place)
        self._append(
            {"entry": number, "kind": entry.kind, "content": entry.content, "files": places, "state": state}
        )
        self._last = number
        if not self.waiting:
            self.state = state
        self.waiting[number] = Entry(entry.kind, entry.content,
                                     {name: self.folder / place for name, place in places.items()})

    def sent(self, state: dict[str, Any]) -> None:
        """Note that the oldest entry was sent."""
        number = min(self.waiting)
        self._append({"sent": number, "state": state})
        del self.waiting[number]
        self.state = state
        shutil.rmtree(self.folder / str(number), ignore_errors=True)
        if not self.waiting:
            (self.folder / LINES).unlink()

    def _append(self, record: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LINES).open("a") as stream:
            stream.write(f"\n{json.dumps(record)}\n")  # the line before may have been cut
            stream.flush()
            os.fsync(stream.fileno())

    def close(self) -> None:
        """Remove the folder where nothing waits in it. Its lock must be held."""
        if not self.waiting:
            shutil.rmtree(self.folder, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        if path.is_file():
            with files.replacing(
                target / path.relative_to(source) if source.is_dir() else target
            ) as temporary:
                shutil.copyfile(path, temporary)
