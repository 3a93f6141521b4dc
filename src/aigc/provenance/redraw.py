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
from aigc.model import sampling
from aigc.provenance import drawing, lookup, source_pictures
from aigc.provenance.claim import PREFIX, Claim

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
        if bool(claim.sources) != self.method.translates:
            return f"{PREFIX}translated_sha256"
        known = range(self.method.shape.classes) if self.method.conditional else [sampling.UNLABELLED]
        return "" if all(label in known for label in claim.labels) else f"{PREFIX}label"

    def make(self, claim: Claim, sources: Mapping[str, bytes]) -> Image.Image:
        """The picture or contact sheet that `claim` describes. sources: the files that it names, by hash."""
        if claim.sources:
            images = self._translations(claim, sources).numpy()
        else:
            images = torch.stack([self._picture(int(claim.seed), index, label)
                                  for index, label in enumerate(claim.labels, claim.first)]).numpy()
        return drawing.as_sheet(images) if claim.is_sheet else drawing.as_picture(images[0])

    def _translations(self, claim: Claim, sources: Mapping[str, bytes]) -> Tensor:
        """The translation of each source of `claim`. A single one is made in the row of its block."""
        number, row = (0, 0) if claim.is_sheet else divmod(claim.first, sampling.BLOCK)
        images = np.stack([source_pictures.fitted(sources[sha256], claim.translated_fit, self.method.shape,
                                                  f"source {sha256[:16]}") for sha256 in claim.sources])
        labels = torch.tensor(claim.labels)
        if claim.is_sheet:
            return torch.cat(list(sampling.blocks(self.method, int(claim.seed), len(labels), labels,
                                                  sources=images)))
        filled = torch.from_numpy(images.repeat(row + 1, 0))
        return sampling.one_block(self.method, int(claim.seed), number, labels.expand(row + 1),
                                  sources=filled)[row:]

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
