"""Orders as PNG files, byte for byte those of `aigc generate`. What was drawn last is kept."""

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from aigc import methods
from aigc.core.runtime import Device, RuntimeConfig
from aigc.model import sampling
from aigc.model.card import Card
from aigc.model.contract import Method, Shape
from aigc.provenance import drawing, texts
from aigc.provenance.claim import Claim
from aigc.serving import orders
from aigc.serving.orders import Order

SAMPLERS_KEPT = 8  # settings of sampling; they share the weights
Settings = tuple[tuple[str, str], ...]
Key = tuple[int, int, int | None, Settings]  # seed, number of the block, label, settings


@dataclass
class Block:
    """images: uint8 (b, C, H, W), none until they are drawn. files: the PNG of those that were asked for, by
    row. drawing: held by the thread that draws it.
    """

    images: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 0, 0), np.uint8))
    files: dict[int, bytes] = field(default_factory=dict)
    drawing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return self.images.nbytes + sum(map(len, list(self.files.values())))


class Drawer:
    """Draws the orders of one model, for several threads.

    A block is a function of (seed, number, label, settings): orders that agree in these share it, whatever
    their count, and of those that come at once one draws it. kept_bytes: of blocks and their PNG files; the
    least recently used go first. fit: of source pictures. drawn, reused: blocks so far.
    """

    def __init__(self, method: Method, card: Card, device: Device, switches: RuntimeConfig, kept_bytes: int,
                 fit: str = "") -> None:
        self.method, self.card, self.switches, self.fit = method, card, switches, fit
        self.drawn = self.reused = 0
        self.device, self._kept_bytes = device, kept_bytes
        self._kept: OrderedDict[Key, Block] = OrderedDict()
        self._lock = threading.Lock()  # of the line above, and of the counts
        self._sampler = functools.lru_cache(maxsize=SAMPLERS_KEPT)(self._with)

    def files(self, order: Order, most: int) -> list[tuple[Claim, bytes]]:
        """What each picture of an order states, and its PNG file. most: pictures of one order.

        Raises ConfigError or DataError where it cannot be drawn.
        """
        labels, settings = self.check(order, most)
        base = replace(drawing.claim_of(self.card, order.seed, self.switches),
                       sampler=" ".join(f"{name}={value}" for name, value in settings),
                       translated_fit=self.fit if order.sources else "")
        hashes = [hashlib.sha256(content).hexdigest() for content in order.sources] or [""] * order.count
        blocks = (self._translations if order.sources else self._blocks)(order, labels, settings)
        found = []
        rows = zip(labels.tolist(), hashes, _repeated(blocks), strict=False)  # blocks are whole
        for index, (label, sha256, block) in enumerate(rows):
            claim = replace(base, index=str(index), label=str(label), translated_sha256=sha256)
            row = index % sampling.BLOCK
            if row not in block.files:
                block.files[row] = texts.encode(drawing.as_picture(block.images[row]), claim)
            found.append((claim, block.files[row]))
        self._forget()
        return found

    def check(self, order: Order, most: int) -> tuple[torch.Tensor, Settings]:
        """The label of each picture, and the settings that differ from the model's own. Draws nothing."""
        labels = orders.labels(self.method, order, most)
        changed = methods.sampler(self.card, order.settings)
        return labels, tuple(sorted((name, str(value)) for name, value in changed.items()))

    def _blocks(self, order: Order, _: torch.Tensor, settings: Settings) -> Iterator[Block]:
        label = None if order.label == sampling.UNLABELLED else order.label
        for number in range(-(-order.count // sampling.BLOCK)):
            key = order.seed, number, label, settings
            with self._lock:
                block = self._kept.setdefault(key, Block())
                self._kept.move_to_end(key)
            with block.drawing:
                is_new = not len(block.images)
                if is_new:
                    block.images = sampling.whole_block(self._sampler(settings), *key[:3]).numpy()
            self._count(is_new)
            yield block

    def _translations(self, order: Order, labels: torch.Tensor, settings: Settings) -> Iterator[Block]:
        images = orders.sources(self.method, order, self.fit)
        for block in sampling.blocks(self._sampler(settings), order.seed, order.count, labels,
                                     sources=images):
            self._count(True)
            yield Block(block.numpy())

    def _with(self, settings: Settings) -> Method:
        """The method with other settings of sampling, and the same weights."""
        if not settings:
            return self.method
        content = {**self.card.config, **methods.sampler(self.card, dict(settings))}
        chosen = methods.config_class(self.card.method).model_validate(content)
        built = methods.build(self.card.method, chosen, Shape(**self.card.shape))
        built.load_state_dict(self.method.state_dict(), assign=True)
        return built.eval().requires_grad_(False).place_on(self.device)

    def _count(self, is_new: bool) -> None:
        with self._lock:
            self.drawn += is_new
            self.reused += not is_new

    def _forget(self) -> None:
        with self._lock:
            size = sum(block.size for block in self._kept.values())
            while size > self._kept_bytes:
                size -= self._kept.popitem(last=False)[1].size


def _repeated(blocks: Iterator[Block]) -> Iterator[Block]:
    """Each block as often as it has pictures."""
    for block in blocks:
        for _ in range(len(block.images)):
            yield block
