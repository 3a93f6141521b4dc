"""Pictures made again from their claims. Each model that they name is opened once."""

import functools
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from aigc import methods
from aigc.core import runtime
from aigc.core.errors import ConfigError
from aigc.core.runtime import RuntimeConfig
from aigc.model import between, sampling
from aigc.provenance import layout, lookup, marks, source_pictures
from aigc.provenance.claim import INTERPOLATION, PAIRS, PREFIX, RECONSTRUCTION, Claim

BLOCKS_KEPT = 4


class Opened:
    """One model, and what it draws.

    place: where it was found, for a person. sampling: see `Claim.sampling`.
    """

    def __init__(self, folder: Path, place: str, device: runtime.Device, sampling: dict[str, str]) -> None:
        self.place, self.can_sample_so = place, True
        try:
            self.method, self.card = methods.load(folder, device, sampling)
        except ConfigError:
            self.can_sample_so = False
            self.method, self.card = methods.load(folder, device)
        # Pictures of one block are usually asked for together.
        self._block = functools.lru_cache(maxsize=BLOCKS_KEPT)(self._draw)

    def contradiction(self, claim: Claim) -> str:
        """The text of `claim` that differs from this model's card, "" when none does."""
        stated = {name: getattr(self.card, name) for name in ("method", "data_sha256", "weights_sha256")}
        for name, value in {**stated, **self.card.origin}.items():
            if getattr(claim, name) != value:
                return f"{PREFIX}{name}"
        if not self.can_sample_so:
            return f"{PREFIX}sampler"
        if not self._can_show(claim):
            return f"{PREFIX}shows"
        if bool(claim.sources) != self.method.translates and claim.what in ("", PAIRS):
            return f"{PREFIX}translated_sha256"
        has_label = self.method.conditional and claim.what != RECONSTRUCTION
        known = range(self.method.shape.classes) if has_label else [sampling.UNLABELLED]
        return "" if all(label in known for label in claim.labels) else f"{PREFIX}label"

    def _can_show(self, claim: Claim) -> bool:
        """Whether the method has the capability for what `claim` shows."""
        if claim.what == INTERPOLATION:
            return self.method.interpolates and (self.method.encodes or not claim.sources)
        return self.method.reconstructs or claim.what != RECONSTRUCTION

    def make(self, claim: Claim, sources: Mapping[str, bytes]) -> Image.Image:
        """What the file of `claim` shows, with its mark. sources: the files that it names, by hash."""
        return marks.marked(layout.picture(claim, *self._images(claim, sources)), claim.mark, claim.is_sheet)

    def file(self, claim: Claim, sources: Mapping[str, bytes]) -> bytes:
        """The whole file of `claim`. sources: as of `make`."""
        return layout.content(claim, *self._images(claim, sources))

    def _images(self, claim: Claim, sources: Mapping[str, bytes]) -> tuple[np.ndarray, np.ndarray | None]:
        """What the model makes for `claim`, and the sources: each uint8 (N, C, H, W)."""
        if claim.sources:
            originals = np.stack([source_pictures.fitted(
                sources[sha256], claim.translated_fit, self.method.shape, f"source {sha256[:16]}")
                for sha256 in claim.sources])
            if claim.what == INTERPOLATION:
                return between.between_pictures(self.method, originals, len(claim.labels),
                                                claim.labels[0]).numpy(), None
            return self._made_of(originals, claim).numpy(), originals
        if claim.what == INTERPOLATION:
            return between.between_samples(self.method, int(claim.seed), int(claim.way["to"]),
                                           len(claim.labels), claim.labels[0]).numpy(), None
        return torch.stack([self._picture(int(claim.seed), index, label)
                            for index, label in enumerate(claim.labels, claim.first)]).numpy(), None

    def _made_of(self, originals: np.ndarray, claim: Claim) -> Tensor:
        """The translation or reconstruction of each original. One alone is made in the row of its block."""
        row = 0 if claim.is_sheet else claim.first % sampling.BLOCK
        filled, labels = originals.repeat(row + 1, 0), torch.tensor(claim.labels).repeat(row + 1)
        if claim.what == RECONSTRUCTION:
            return between.reconstructions(self.method, filled)[row:]
        return torch.cat(list(sampling.blocks(self.method, int(claim.seed), len(labels), labels,
                                              sources=filled)))[row:]

    def _picture(self, seed: int, index: int, label: int) -> Tensor:
        number, row = divmod(index, sampling.BLOCK)
        usual = int(sampling.default_labels(self.method, 1, index)) == label
        return self._block(seed, number, None if usual else label)[row]

    def _draw(self, seed: int, number: int, label: int | None) -> Tensor:
        return sampling.whole_block(self.method, seed, number, label)


class Models:
    """The models that pictures name: the one called `name`, or all that can be found.

    sources: the files of pictures that may have been translated, by sha256.
    """

    def __init__(self, name: str | None, switches: RuntimeConfig,
                 sources: Mapping[str, bytes] | None = None) -> None:
        self.name, self.sources = name, dict(sources or {})
        self._device = runtime.start_torch(switches.arithmetic, switches.threads)
        self._stack = ExitStack()
        self._opened: dict[tuple[str, str, str], Opened | None] = {}

    def __enter__(self) -> "Models":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def searched(self) -> str:
        """Where models are looked for, as text."""
        return f"in {self.name}" if self.name else "in models/ or in MLflow; --model names another place"

    def find(self, claim: Claim) -> Opened | None:
        """The model with the hashes of `claim`, sampled as it states; None when there is none."""
        key = (claim.weights_sha256, claim.model_sha256, claim.sampler)
        if key not in self._opened:
            found = self._stack.enter_context(lookup.holding(*key[:2], self.name))
            self._opened[key] = Opened(*found, self._device, claim.sampling) if found else None
        return self._opened[key]
