"""`aigc export`: a trained model as a folder that is whole or absent."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aigc import methods
from aigc.core import files
from aigc.core.errors import StorageError
from aigc.core.runtime import RuntimeConfig
from aigc.exporting import facts as known
from aigc.exporting import graphs, model_card, script
from aigc.model.card import CONFIG, Card
from aigc.provenance import lookup


def export(method: str | None, name: str | None, to: Path, with_onnx: bool, with_card: bool, force: bool,
           switches: RuntimeConfig) -> Path:
    """Write the model below `to`. Raises StorageError where that would overwrite what is there.

    name: of another model than models/METHOD, see `lookup.trained`. force: replaces an exported model.
    """
    _refuse_to_lose(to, force)
    with lookup.trained(method, name) as place, _replacing(to) as folder:
        card = write(place, folder, with_onnx, with_card, switches)
    for path in sorted(to.iterdir()):
        print(f"{to / path.name}  {path.stat().st_size:,} bytes")
    opset = f", ONNX of opset {graphs.OPSET}" if with_onnx else ""
    print(f"{to}: {card.method}, weights {card.weights_sha256[:16]}{opset}")
    return to


def write(place: Path, folder: Path, with_onnx: bool, with_card: bool, switches: RuntimeConfig) -> Card:
    """Write the model at `place` into an empty folder: weights and config, and what is asked for."""
    method, card = methods.load(place)
    for name in (*card.files, CONFIG):
        files.write_bytes(folder / name, (place / name).read_bytes())
    if with_card:
        page = model_card.of_model(place, card, known.of_model(card), switches, with_onnx)
        for name, content in page.items():
            files.write_bytes(folder / name, content)
    if with_onnx:
        networks, sampling = graphs.of_method(method)
        for name, content in networks.items():
            files.write_bytes(folder / f"{name}.onnx", content)
        files.write_bytes(folder / script.NAME, script.of_method(method, card, sampling).encode())
    return card


def _refuse_to_lose(to: Path, force: bool) -> None:
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return
    if not force:
        raise StorageError(f"{to}: exists; --force replaces a model that was exported there")
    if not (to / CONFIG).is_file():
        raise StorageError(f"{to}: holds no {CONFIG}, so it is no exported model; choose another --to")


@contextmanager
def _replacing(to: Path) -> Iterator[Path]:
    """A new folder beside `to` that takes its place if the block raises nothing."""
    to.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{to.name}.", suffix=".tmp", dir=to.parent))
    made, old = scratch / "new", scratch / "old"
    made.mkdir()
    try:
        yield made
        if to.exists():
            to.rename(old)
        made.rename(to)
    finally:
        if old.exists() and not to.exists():
            old.rename(to)
        shutil.rmtree(scratch, ignore_errors=True)
