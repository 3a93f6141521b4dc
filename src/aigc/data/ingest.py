"""A source, streamed into one folder: the pictures (see parts), labels.npy, classes.json, manifest.parquet,
quarantine.csv and more.

found = used + quarantined, or it stops. Memory holds neither pictures nor manifest, but of each picture its
path and its hash.
"""

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from aigc.core import files
from aigc.core.errors import DataError, GateError
from aigc.data import manifest, parts, pictures, sources, splits
from aigc.data.config import DataConfig, PreprocessConfig, SplitConfig
from aigc.data.sources import listing
from aigc.data.sources.contract import Block, Rejected, Source

ROW_GROUP = 1 << 13


@dataclass(frozen=True)
class Counts:
    """Pictures found, used and quarantined; files ignored, since they are no pictures.

    left_out: what was not read, by name or suffix; warnings: lines for the user. Neither is written to
    counts.json.
    """

    found: int
    used: int
    quarantined: int
    ignored: int
    left_out: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, int]:
        """The numbers, as counts.json holds them."""
        return {"found": self.found, "used": self.used, "quarantined": self.quarantined,
                "ignored": self.ignored}

    def lines(self) -> list[str]:
        """What was left out and the warnings, for a terminal."""
        left_out = [f"left out: {listing.summary(self.left_out)}"] if self.left_out else []
        return [*left_out, *(f"warning: {warning}" for warning in self.warnings)]


class Ledger:
    """What is known of the pictures so far: quarantine and manifest rows, on disk until splits are known."""

    def __init__(self, folder: Path) -> None:
        self.rows = folder / f".rows.{os.getpid()}.tmp"
        self.labels: list[np.ndarray] = []
        self.rejected: list[Rejected] = []
        self.used = 0
        self._stream: pa.ipc.RecordBatchStreamWriter | None = None

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.rows.unlink(missing_ok=True)

    def close(self) -> None:
        """Finish the rows, so that they can be read."""
        if self._stream:
            self._stream.close()
            self._stream = None

    def add(self, block: Block, classes: list[str]) -> None:
        """Note one block."""
        self.rejected += block.rejected
        if not len(block.labels):
            return
        height, width = (np.asarray(block.columns[f"source_{side}"]) for side in ("height", "width"))
        batch = pa.RecordBatch.from_pydict({
            "index": self.used + np.arange(len(block.labels)), "label": block.labels,
            "class_name": manifest.class_names(block.labels, classes),
            "aspect": np.maximum(height, width) / np.minimum(height, width), **block.columns})
        self._stream = self._stream or pa.ipc.new_stream(str(self.rows), batch.schema)
        self._stream.write_batch(batch)
        self.labels.append(block.labels)
        self.used += len(block.labels)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, block by block."""
        with pa.OSFile(str(self.rows)) as stream:
            yield from pa.ipc.open_stream(stream)


def ingest(data: DataConfig, shape: PreprocessConfig, processes: int, folder: Path) -> Counts:
    """Read the source that `data` names into `folder`.

    Raises DataError when the source is not what it should be or a class has no picture left, GateError when
    more than data.max_quarantined of it is unusable; then quarantine.csv is there already, and
    manifest.parquet is not.
    """
    source = sources.open_source(data, shape, processes)
    folder.mkdir(parents=True, exist_ok=True)
    with Ledger(folder) as ledger:
        with (parts.writing(folder, source.found, source.shape) as append,
              tqdm(total=source.found, desc="ingest", unit="picture", disable=None, file=sys.stderr) as bar):
            for block in source.blocks:
                append(block.images)
                ledger.add(block, source.classes)
                bar.update(len(block.labels) + len(block.rejected))
        ledger.close()
        counts = Counts(source.found, ledger.used, len(ledger.rejected), source.ignored, source.left_out,
                        source.warnings)
        _write_quarantine(folder / "quarantine.csv", ledger.rejected)
        _check(data, source, ledger, counts, folder)
        files.write_json(folder / "counts.json", counts.to_json())
        origin = sources.origin(data)
        pictures.write_origin(folder, origin)
        labels = np.concatenate(ledger.labels)
        pictures.write_labels(folder, labels, source.classes)
        _write_manifest(folder / "manifest.parquet", ledger, labels, data.split, origin)
    return counts


def _check(data: DataConfig, source: Source, ledger: Ledger, counts: Counts, folder: Path) -> None:
    """Raises when pictures were lost, when too many are unusable, or when a class has none left."""
    if counts.used + counts.quarantined != counts.found:
        raise DataError(f"{data.path}: {counts.found} pictures were found, {counts.used} used and "
                        f"{counts.quarantined} quarantined; the source changed while it was read: run again")
    share = counts.quarantined / counts.found
    first = f", the first {ledger.rejected[0].path}: {ledger.rejected[0].reason}" if ledger.rejected else ""
    if not counts.used:
        raise DataError(f"{data.path}: none of {counts.found} pictures can be used{first}; mend them, or "
                        "name another `data.path`")
    if share > data.max_quarantined:
        raise GateError(f"{counts.quarantined} of {counts.found} pictures ({share:.1%}) cannot be used, over "
                        f"data.max_quarantined ({data.max_quarantined:.1%}){first}; "
                        f"{folder / 'quarantine.csv'} lists them")
    left = np.bincount(np.concatenate(ledger.labels) + 1, minlength=len(source.classes) + 1)[1:]
    if not left.all():
        name = source.classes[int(left.argmin())]
        raise DataError(f"{data.path}: no picture of class {name} can be used{first}; mend the class or "
                        "remove it")


def _write_quarantine(path: Path, rejected: list[Rejected]) -> None:
    table = pd.DataFrame([asdict(picture) for picture in rejected], columns=["path", "reason", "stage"])
    files.write_csv(path, table)


def _write_manifest(path: Path, ledger: Ledger, labels: np.ndarray, split: SplitConfig,
                    origin: dict[str, str]) -> None:
    """The rows with their splits. The file's metadata holds licence and origin, under "origin"."""
    hashes = (name for batch in ledger.batches() for name in batch["sha256"].to_pylist())
    places = splits.assign(hashes, labels, split)
    with files.replacing(path) as temporary, contextlib.ExitStack() as stack:
        writer, written = None, 0
        for table in _grouped(ledger.batches()):
            part = pa.array(places[written:written + len(table)], pa.string())
            table = table.append_column("split", part)
            table = table.replace_schema_metadata({"origin": files.canonical_json(origin)})
            writer = writer or stack.enter_context(pq.ParquetWriter(temporary, table.schema))
            writer.write_table(table)
            written += len(table)


def _grouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches joined to row groups: many small ones would make the file large and slow."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= ROW_GROUP:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)
