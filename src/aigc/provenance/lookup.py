"""Where a command finds a model: models/ of this project, a file or folder that is named, or MLflow."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from aigc import methods
from aigc.core import config, paths
from aigc.core.errors import ConfigError, StorageError
from aigc.model.card import CONFIG, read_card

ALIAS = re.compile(r"[^/:@]+@[^/:@]+")  # NAME@ALIAS of MLflow's registry
WORD = re.compile(r"[a-z][a-z0-9_]{0,30}")  # no run id, which is longer


@contextmanager
def named(name: str) -> Iterator[Path]:
    """The model's folder for a path, a run id or an MLflow URI; a copy lasts as long as the block."""
    path = Path(name)
    if path.exists():
        folder = path.parent if path.is_file() else path
        if not (folder / CONFIG).exists():
            raise StorageError(
                f"{name}: no model, it has no {CONFIG}; a model is its folder, a run id, models:/… or runs:/…"
            )
        yield folder
        return
    from aigc.tracking import models

    name = f"models:/{name}" if ALIAS.fullmatch(name) else name
    if not models.is_name(name):
        raise StorageError(f"{name}: missing; a model is its folder, a run id, models:/… or runs:/…")
    with tempfile.TemporaryDirectory(prefix="aigc-") as temporary:
        yield models.download(name, Path(temporary))


def any_trained(name: str) -> AbstractContextManager[Path]:
    """The model's folder for a method, or for what `named` takes. Raises ConfigError or StorageError."""
    is_method = name in methods.available() or (WORD.fullmatch(name) and not Path(name).exists())
    return trained(name, None) if is_method else trained(None, name)


@contextmanager
def trained(method: str | None, name: str | None) -> Iterator[Path]:
    """The folder that `generate METHOD --model NAME` means. Raises ConfigError or StorageError."""
    if method is not None and method not in methods.available():
        raise ConfigError(f"unknown method `{method}`{config.did_you_mean(method, methods.available())}")
    if name is not None:
        with named(name) as folder:
            found = read_card(folder).method
            if method not in (None, found):
                raise ConfigError(f"{name}: is a model of {found}, not of {method}")
            yield folder
    elif method is not None:
        if not (paths.model(method) / CONFIG).exists():
            raise StorageError(
                f"{paths.model(method)}: no model yet; `dvc repro train@{method}` makes it, `dvc "
                "checkout` restores it"
            )
        yield paths.model(method)
    else:
        raise ConfigError(f"name a method ({', '.join(methods.available())}) or --model")


@contextmanager
def meant(text: str) -> Iterator[Path]:
    """The model's folder for a method, or for what `named` takes. Raises ConfigError or StorageError."""
    if text in methods.available():
        with trained(text, None) as folder:
            yield folder
        return
    from aigc.tracking import models

    if not (Path(text).exists() or "/" in text or models.is_name(text)):
        raise ConfigError(f"unknown model `{text}`: no folder, run id or method"
                          f"{config.did_you_mean(text, methods.available())}")
    with named(text) as folder:
        yield folder


@contextmanager
def holding(weights_sha256: str, model_sha256: str, name: str | None) -> Iterator[tuple[Path, str] | None]:
    """The model with these hashes: the named one, else of models/, else of MLflow: (folder, name) or None."""
    if name is not None:
        with named(name) as folder:
            yield (folder, name) if read_card(folder).sha256 == model_sha256 else None
        return
    for card in sorted(paths.model("*").parent.glob(f"*/{CONFIG}")):
        if _is(card.parent, model_sha256):
            yield card.parent, str(card.parent)
            return
    from aigc.tracking import models

    with tempfile.TemporaryDirectory(prefix="aigc-") as temporary:
        for run in models.runs_with(weights_sha256):
            folder = models.download(run, Path(temporary) / run)
            if _is(folder, model_sha256):
                yield folder, f"MLflow run {run}"
                return
        yield None


def _is(folder: Path, model_sha256: str) -> bool:
    """Whether the model in `folder` has this hash; one whose card cannot be read has not."""
    try:
        return read_card(folder).sha256 == model_sha256
    except StorageError:
        return False
