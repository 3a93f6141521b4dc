"""What the page of `aigc play` shows, computed: pictures, walks, own pictures, the zip. Knows no Gradio.

Pictures are those of `aigc generate`, byte for byte: they are made by the functions of `aigc.provenance`.
"""

import contextlib
import functools
import hashlib
import io
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from aigc import methods
from aigc.core import paths, runtime
from aigc.core.errors import ConfigError, StorageError
from aigc.core.randomness import Purpose, generator
from aigc.core.runtime import RuntimeConfig
from aigc.model import sampling
from aigc.model.card import CONFIG, Card, read_card
from aigc.model.contract import Method
from aigc.networks.blocks import as_bytes
from aigc.provenance import drawing, lookup, source_pictures, texts
from aigc.provenance.claim import Claim
from aigc.provenance.redraw import Opened

MOST = sampling.BLOCK  # pictures at once: a block is computed in full anyway
MODELS_KEPT = 8  # models and settings that stay loaded
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest of a zip: equal pictures make an equal file

Settings = tuple[tuple[str, str], ...]  # of sampling: (name, value as text), in the order of the method


@dataclass(frozen=True)
class Trained:
    """A model that can be played with. name: as the person knows it."""

    name: str
    folder: Path
    card: Card

    @property
    def kind(self) -> type[Method]:
        kind: type[Method] = methods.method_class(self.card.method)
        return kind


@dataclass(frozen=True)
class Wish:
    """Which pictures a person wants. class_name: None = every class in turn."""

    model: str
    seed: int = 0
    count: int = 16
    class_name: str | None = None
    settings: Settings = ()


@dataclass(frozen=True)
class Picture:
    """One picture. claim: what it states of itself. png: the file that `aigc generate` writes."""

    image: Image.Image
    claim: Claim
    png: bytes

    @property
    def file_name(self) -> str:
        return drawing.file_name(self.claim)


def trained(stack: contextlib.ExitStack, names: Sequence[str] = ()) -> dict[str, Trained]:
    """The models of `names` (methods, folders, run ids, MLflow URIs), else all of models/, by name.

    stack: keeps what is downloaded. Raises StorageError or ConfigError where there is none.
    """
    found = {}
    for name in names:
        is_method = name in methods.available()
        folder = stack.enter_context(lookup.trained(name, None) if is_method else lookup.trained(None, name))
        found[name] = Trained(name, folder, read_card(folder))
    if not names:
        for path in sorted(paths.model("*").parent.glob(f"*/{CONFIG}")):
            try:
                card = read_card(path.parent)
            except StorageError as error:
                print(f"warning: {error}; it is not offered", file=sys.stderr)
                continue
            if card.method in methods.available():
                found[path.parent.name] = Trained(path.parent.name, path.parent, card)
    if not found:
        raise StorageError(f"{paths.model('*').parent}/: no trained model; `dvc repro` makes them, "
                           "`dvc checkout` restores them")
    return found


class Playground:
    """Trained models, loaded when they are asked for, on the device of `switches`."""

    def __init__(self, offered: Mapping[str, Trained], switches: RuntimeConfig) -> None:
        self.offered, self.switches = offered, switches
        self._device = runtime.start_torch(switches.arithmetic, switches.threads)
        self._open = functools.lru_cache(MODELS_KEPT)(self._opened)

    def _opened(self, name: str, settings: Settings) -> Opened:
        model = self.offered[name]
        methods.sampler(model.card, dict(settings))  # says what is wrong with them
        opened = Opened(model.folder, str(model.folder), self._device, dict(settings))
        if not opened.can_sample_so:
            methods.load(model.folder, sampling=dict(settings))  # raises the reason
        return opened

    def check(self, wish: Wish) -> Trained:
        """The model of `wish`. Raises ConfigError for what cannot be asked for."""
        if wish.model not in self.offered:
            raise ConfigError(f"no model `{wish.model}` here; known here: {', '.join(self.offered)}")
        if not 0 <= wish.seed <= drawing.MOST_SEED:
            raise ConfigError(f"a seed is between 0 and {drawing.MOST_SEED}, found {wish.seed}")
        if not 1 <= wish.count <= MOST:
            raise ConfigError(f"between 1 and {MOST} pictures can be asked for, found {wish.count}")
        return self.offered[wish.model]

    def is_conditional(self, name: str) -> bool:
        """Whether this model can be asked for a class."""
        return self._open(name, ()).method.conditional

    def pictures(self, wish: Wish) -> list[Picture]:
        """Picture i is the i-th of `aigc generate` with this seed. Raises ConfigError or StorageError."""
        model = self.check(wish)
        if model.kind.translates:
            raise ConfigError(f"{model.card.method} translates pictures: put in one of your own")
        opened = self._open(wish.model, wish.settings)
        labels = drawing.labels_of(opened.method, opened.card, wish.count, wish.class_name)
        base = self._claim(model, wish)
        return [_made(opened, replace(base, index=str(index), label=str(int(label))), {})
                for index, label in enumerate(labels)]

    def translated(self, wish: Wish, content: bytes) -> tuple[np.ndarray, Picture]:
        """A picture's file as the model sees it, uint8 (C, H, W), and translated to the class of `wish`.

        Raises ConfigError where the method does not translate or there is no class, DataError where the
        bytes are no picture.
        """
        model = self.check(wish)
        opened = self._open(wish.model, wish.settings)
        if not model.kind.translates:
            raise ConfigError(f"{model.card.method} does not translate pictures")
        if wish.class_name is None:
            raise ConfigError(f"choose the class to translate to: {' or '.join(model.card.classes)}")
        label = drawing.labels_of(opened.method, opened.card, 1, wish.class_name)
        sha256, fit = hashlib.sha256(content).hexdigest(), source_pictures.fit_of()
        seen = source_pictures.fitted(content, fit, opened.method.shape, "your picture")
        claim = replace(self._claim(model, wish), index="0", label=str(int(label[0])),
                        translated_sha256=sha256, translated_fit=fit)
        return seen, _made(opened, claim, {sha256: content})

    def reconstructed(self, wish: Wish, content: bytes) -> tuple[np.ndarray, np.ndarray]:
        """A picture's file as the model sees it, and through encoder and decoder: both uint8 (C, H, W).

        Raises ConfigError where the method cannot, DataError where the bytes are no picture.
        """
        model = self.check(wish)
        if not model.kind.reconstructs:
            raise ConfigError(f"{model.card.method} does not reconstruct pictures")
        method = self._open(wish.model, wish.settings).method
        seen = source_pictures.fitted(content, source_pictures.fit_of(), method.shape, "your picture")
        return seen, sampling.reconstructions(method, torch.from_numpy(np.array(seen))[None])[0].numpy()

    @torch.inference_mode()
    def walk(self, wish: Wish, end: int, shares: Sequence[float]) -> np.ndarray:
        """On the way from picture 0 of the seed of `wish` to picture 0 of the seed `end`: uint8 (n, C, H, W).

        shares: of the way, in [0, 1]. One class all the way: that of `wish`, else the first. Raises
        ConfigError where the method does not interpolate.
        """
        model = self.check(wish)
        self.check(replace(wish, seed=end))
        if not model.kind.interpolates:
            raise ConfigError(f"{model.card.method} has no way between two pictures")
        opened = self._open(wish.model, wish.settings)
        method, device = opened.method, self._device.torch_device
        label = drawing.labels_of(method, opened.card, 1, wish.class_name).to(device)
        start, stop = (method.latents(sampling.BLOCK, generator(seed, Purpose.SAMPLE, 0, device))[:1]
                       for seed in (wish.seed, end))
        share = torch.tensor(shares, dtype=torch.float32, device=device)
        rows = len(shares)
        with method.autocast():
            images = method.decode_between(start.repeat_interleave(rows, 0), stop.repeat_interleave(rows, 0),
                                           share, label.repeat_interleave(rows))
        return as_bytes(images).cpu().numpy()

    def archive(self, wish: Wish, folder: Path) -> Path:
        """A zip in `folder` with the files that `aigc generate` writes for `wish`, contact sheet included.

        Raises ConfigError where the method translates.
        """
        model = self.check(wish)
        if model.kind.translates:
            raise ConfigError(f"{model.card.method} translates pictures: a click on a translation saves it")
        with tempfile.TemporaryDirectory(prefix="aigc-play-") as name:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                drawing.write_pictures(None, str(model.folder), wish.count, wish.seed, Path(name),
                                       wish.class_name, self.switches, dict(wish.settings))
            path = folder / f"{model.card.method}-seed{wish.seed}-{wish.count}.zip"
            with zipfile.ZipFile(path, "w") as archive:
                for file in sorted(Path(name).iterdir()):
                    archive.writestr(zipfile.ZipInfo(file.name, ZIP_TIME), file.read_bytes())
        return path

    def _claim(self, model: Trained, wish: Wish) -> Claim:
        """What all pictures of `wish` state."""
        changed = methods.sampler(model.card, dict(wish.settings))
        sampler = " ".join(f"{key}={value}" for key, value in sorted(changed.items()))
        return replace(drawing.claim_of(model.card, wish.seed, self.switches), sampler=sampler)


def _made(opened: Opened, claim: Claim, sources: Mapping[str, bytes]) -> Picture:
    image = opened.make(claim, sources)
    return Picture(image, claim, texts.encode(image, claim))


