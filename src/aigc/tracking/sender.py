"""Sends entries to the store in order; keeps on disk what it does not take, and raises nothing for it."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException

from aigc.core import process
from aigc.core.errors import AigcError, StorageError
from aigc.tracking import store
from aigc.tracking.journal import LINES, LOCK, Entry, Journal, folder_of, root
from aigc.tracking.run import StoreWriter

# The store answered, and will give the same answer each time: such an entry is dropped.
FINAL_ANSWERS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE")
SYNC_SECONDS = 10  # to wait for an `aigc sync` that sends what an earlier process kept
FIRST_PAUSE, LONGEST_PAUSE = 15.0, 300.0  # seconds without a try after a failed one; each failure doubles it


class Sender:
    """The way of one training's, or evaluation's, entries to the store. label: what a person is shown."""

    def __init__(self, label: str, journal: Journal) -> None:
        self.label, self.journal = label, journal
        self.writer: StoreWriter | None = None
        self._state: dict[str, Any] = {}
        self._is_away = False
        self._pause, self._next_try = FIRST_PAUSE, 0.0

    @property
    def is_connected(self) -> bool:
        """Whether everything so far was sent."""
        return self.writer is not None and not self._is_away

    def send(self, kind: str, content: dict[str, Any], files: Mapping[str, Path] | None = None,
             last: bool = False) -> None:
        """Send one entry after those that wait, or keep it. last: try even if the store was away a moment
        ago.

        What can neither be sent nor kept is named on stderr, and lost.
        """
        entry = Entry(kind, content, files or {})
        if last or time.monotonic() >= self._next_try:
            try:
                self.flush()
                self._write(entry)
                return
            except (
                Exception
            ) as error:  # a training must survive whatever a store, its driver or its disk raises
                self._note_failure(error)
        try:
            self.journal.keep(entry, self._state)
        except (AigcError, OSError) as error:
            self._say(f"what it has to log cannot be kept on disk either, and is lost ({store.shown(error)})")

    def flush(self) -> None:
        """Send what waits. Raises what the store raises."""
        client, experiment = store.open_store(writes=True)
        if self.writer is None:
            state = self.journal.state if self.journal.waiting else self._state
            try:
                self.writer = StoreWriter(client, experiment, state)
            except MlflowException as error:
                if error.error_code not in FINAL_ANSWERS:
                    raise
                self._say(
                    f"the MLflow store has no run {state['run_id']} any more; what is of it is not logged"
                )
                self.writer = StoreWriter(client, experiment, {})
        count = len(self.journal.waiting)
        while self.journal.waiting:
            self._write(self.journal.waiting[min(self.journal.waiting)])
            self.journal.sent(self._state)
        if self._is_away:
            self._say(f"the MLflow store answers again; what was kept for it ({count} entries) is logged",
                      warning=False)
        self._is_away, self._pause, self._next_try = False, FIRST_PAUSE, 0.0

    def _write(self, entry: Entry) -> None:
        assert self.writer is not None
        try:
            getattr(self.writer, entry.kind)(entry.content, entry.files)
        except MlflowException as error:
            if error.error_code not in FINAL_ANSWERS:
                raise
            self._say(
                f"the MLflow store refuses an entry (`{entry.kind}`: {store.shown(error)}); it is not logged"
            )
        except LookupError:
            self._say(
                "the MLflow store has no run of these weights (DVC restored them from its cache); "
                "`aigc sync` makes one",
                warning=False,
            )
        self._state = self.writer.state

    def _note_failure(self, error: Exception) -> None:
        """Try later, and say so once an outage."""
        self.writer = None
        self._next_try = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        if not self._is_away:
            said = store.shown(error)
            text = (
                said
                if isinstance(error, AigcError)
                else f"the MLflow store {store.shown(store.store_uri())} "
                f"{store.refusal(error) or f'fails ({said})'}"
            )
            self._say(
                f"{text}. The work goes on; what it has to log is kept in {self.journal.folder} and sent "
                "later, by this training or by `aigc sync`"
            )
        self._is_away = True

    def _say(self, text: str, warning: bool = True) -> None:
        print(f"{self.label}: {'warning: ' if warning else ''}{text}", file=sys.stderr, flush=True)


@contextmanager
def sender(label: str, name: str) -> Iterator[Sender]:
    """The sender of the training or evaluation `name`, with what an earlier process of it kept."""
    with ExitStack() as held:
        folder = folder_of(name)
        try:
            held.enter_context(process.only_writer(folder / LOCK, patience=SYNC_SECONDS))
        except StorageError:  # `aigc sync` is busy with it
            folder = folder_of(f"{name}-{os.getpid()}")
            held.enter_context(process.only_writer(folder / LOCK, patience=0))
        journal = Journal(folder)
        held.callback(journal.close)
        yield Sender(label, journal)


def send_all() -> list[str]:
    """Send what waits on disk, trainings first, and say what. Raises AigcError if the store is away."""
    done = []
    for lines in sorted(root().glob(f"*/{LINES}"),
                        key=lambda path: (path.parent.name.startswith("evaluate-"), path)):
        folder = lines.parent
        with ExitStack() as held:
            try:
                held.enter_context(process.only_writer(folder / LOCK, patience=0))
            except StorageError:
                done.append(f"{folder.name}: is at work, and sends what it kept itself")
                continue
            journal = Journal(folder)
            count = len(journal.waiting)
            if count:
                with store.errors():
                    Sender(folder.name, journal).flush()
                done.append(
                    f"{folder.name}: {count} entries that were kept while the store was away are logged"
                )
            journal.close()
    return done
