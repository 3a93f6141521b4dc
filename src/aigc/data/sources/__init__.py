"""Where pictures come from: `data.source` in params.yaml names an entry of `open_source`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from aigc.data import workers
from aigc.data.config import DataConfig, PreprocessConfig
from aigc.data.sources import arrays, listing, published, table
from aigc.data.sources.arrays import digits as digits
from aigc.data.sources.contract import Block, Source
from aigc.data.sources.decoding import Task, decode_files
from aigc.data.sources.listing import Listing

FILES_A_TASK = 128
FEW = 256  # files; for fewer, starting processes takes longer than the work

# (licence, whom to name, where it comes from) of the sets that have a name.
MNIST_ORIGIN = ("CC BY-SA 3.0", "Yann LeCun and Corinna Cortes", "http://yann.lecun.com/exdb/mnist/")
ORIGINS = {
    "digits": MNIST_ORIGIN,
    "mnist": MNIST_ORIGIN,
    "fashion-mnist": ("MIT", "Zalando SE", "https://github.com/zalandoresearch/fashion-mnist"),
    "cifar10": ("", "Alex Krizhevsky, Vinod Nair and Geoffrey Hinton",
                "https://www.cs.toronto.edu/~kriz/cifar.html"),
}


def open_source(data: DataConfig, shape: PreprocessConfig, processes: int) -> Source:
    """The source that `data` names, its blocks not yet read. Raises DataError when it is unusable.

    Files are decoded at the model's size by `processes` worker processes; arrays keep theirs until
    preprocess.
    """
    place = Path(data.path)
    match data.source:
        case "digits":
            return arrays.of_pictures(arrays.digits(), "")
        case "mnist":
            return published.mnist_like(published.MNIST, place)
        case "fashion-mnist":
            return published.mnist_like(published.FASHION, place)
        case "cifar10":
            return published.cifar10(place)
        case "idx":
            return arrays.idx(arrays.idx_pairs(place))
        case "npy":
            return arrays.npy(place)
        case "folder":
            return of_files(listing.in_folder(place), shape, processes)
        case "csv":
            return of_files(table.in_table(data), shape, processes)


def origin(data: DataConfig) -> dict[str, str]:
    """Source, licence, attribution and url: what params.yaml says, else what a named set is known to have."""
    known = ORIGINS.get(data.source, ("", "", ""))
    stated = (data.licence, data.attribution, data.url)
    return {"source": data.source, **{key: text or fact for key, text, fact in
                                      zip(("licence", "attribution", "url"), stated, known, strict=True)}}


def of_files(found: Listing, shape: PreprocessConfig, processes: int) -> Source:
    """A listing as a source: its files decoded in order, then what could not be opened at all."""
    def tasks() -> Iterator[Task]:
        for first in range(0, len(found.paths), FILES_A_TASK):
            part = slice(first, first + FILES_A_TASK)
            yield Task(str(found.root), found.paths[part], found.labels[part], first, shape)

    def blocks() -> Iterator[Block]:
        if found.rejected:
            nothing = np.empty((0, shape.channels, shape.size, shape.size), np.uint8)
            yield Block(nothing, np.empty(0, np.int64), {}, found.rejected)
        workers_used = processes if len(found.paths) > FEW else 1
        yield from workers.in_order(decode_files, tasks(), workers_used, lambda task: task.paths[0])

    return Source(found.classes, (shape.channels, shape.size, shape.size), len(found), blocks(),
                  found.ignored, found.left_out, found.warnings)
