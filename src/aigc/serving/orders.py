"""What a client asks for, and whether a model can draw it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from aigc.core.errors import ConfigError
from aigc.model import sampling
from aigc.model.contract import Method
from aigc.provenance import source_pictures
from aigc.provenance.drawing import MOST_SEED


@dataclass(frozen=True)
class Order:
    """count: pictures. label: of all of them, UNLABELLED = every class in turn. settings: of sampling, as
    texts, to replace the model's own. sources: the files of the pictures to translate, one for each picture.
    """

    count: int
    seed: int
    label: int = sampling.UNLABELLED
    settings: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[bytes, ...] = ()


def labels(method: Method, order: Order, most: int) -> Tensor:
    """The label of each picture: int64 (count,). Raises ConfigError when the order cannot be drawn.

    most: pictures of one order.
    """
    for name, value, least, last in (("n", order.count, 1, most), ("seed", order.seed, 0, MOST_SEED)):
        if not least <= value <= last:
            raise ConfigError(f"{name} must be between {least} and {last}, found {shown(value)}")
    chosen = sampling.default_labels(method, order.count)
    if order.label != sampling.UNLABELLED:
        chosen = chosen * 0 + order.label
    sampling.check_labels(method, chosen)
    return chosen


def sources(method: Method, order: Order, fit: str) -> np.ndarray | None:
    """The pictures to translate, at the model's size: uint8 (count, C, H, W); None where there are none.

    fit: see `source_pictures.fit_of`. Raises DataError for a file that is no picture.
    """
    if not order.sources:
        return None
    names = [f"source {index}" for index in range(len(order.sources))] if order.count > 1 else ["source"]
    return np.stack([source_pictures.fitted(content, fit, method.shape, name)
                     for name, content in zip(names, order.sources, strict=True)])


def shown(value: object) -> str:
    """A value of a client's, short enough for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
