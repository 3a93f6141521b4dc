"""Published sets, checked by their hash: used where they are on disk, else downloaded into .downloads/."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc.core import files, paths
from aigc.core.errors import DataError
from aigc.data.sources import arrays
from aigc.data.sources.arrays import DAMAGED, Pair
from aigc.data.sources.contract import Source

CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"
CIFAR_ARCHIVE = "cifar-10-binary.tar.gz"


@dataclass(frozen=True)
class Published:
    """sha256: of each file's content (unzipped, where it is IDX). places: where systems install it.
    torchvision: who knows its mirrors.
    """

    sha256: dict[str, str]
    classes: list[str]
    places: tuple[Path, ...]
    torchvision: str


MNIST = Published(
    {"train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
     "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
     "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
     "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
    [str(number) for number in range(10)], (), "MNIST")
FASHION = Published(
    {"train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
     "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
     "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
     "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"},
    ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
     "ankle boot"],
    (Path("/usr/share/datasets/fashion-mnist"),), "FashionMNIST")
CIFAR10 = Published(
    {CIFAR_ARCHIVE: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"], (), "")


def mnist_like(about: Published, folder: Path) -> Source:
    """MNIST or Fashion-MNIST: the 60,000 train pictures, then the 10,000 test pictures."""
    found = {name: _locate(name, about, folder) for name in about.sha256}
    pairs = [Pair(found[f"{part}-images-idx3-ubyte"], found[f"{part}-labels-idx1-ubyte"])
             for part in ("train", "t10k")]
    return arrays.idx(pairs, about.classes)


def cifar10(folder: Path) -> Source:
    """CIFAR-10 from its binary archive (the other one is pickled)."""
    return arrays.cifar10(_locate(CIFAR_ARCHIVE, CIFAR10, folder), CIFAR10.classes)


def _locate(name: str, about: Published, data_path: Path) -> Path:
    """The file `name`, checked: from `data.path`, the system, or a download. Raises DataError."""
    for folder in (data_path, *about.places, paths.DOWNLOADS / (about.torchvision or "CIFAR10")):
        place = arrays.idx_file(folder, name) if "-idx" in name else folder / name
        if place and place.is_file():
            return _checked(place, about.sha256[name])
    place = download(*_address(name, about), paths.DOWNLOADS / (about.torchvision or "CIFAR10"))
    return _checked(place, about.sha256[name])


def _checked(place: Path, sha256: str) -> Path:
    """`place`, if its content (unzipped, where it is IDX) has the published sha256. Raises DataError."""
    try:
        if place.name.endswith("-ubyte.gz"):
            with gzip.open(place) as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        else:
            found = files.sha256(place)
    except DAMAGED as error:
        raise DataError(f"{place}: cannot be read ({error}); delete it and run again") from None
    if found != sha256:
        raise DataError(f"{place}: the sha256 of its content is {found[:16]}, the published one is "
                        f"{sha256[:16]}; delete it and run again, or use it as `data.source: idx`")
    return place


def _address(name: str, about: Published) -> tuple[list[str], str]:
    """(mirrors, file name) by torchvision's list, or the authors' own page."""
    if not about.torchvision:
        return [CIFAR_URL], name
    from torchvision import datasets

    known: Any = getattr(datasets, about.torchvision)
    return list(known.mirrors), f"{name}.gz"


def download(mirrors: list[str], name: str, folder: Path) -> Path:
    """Fetch `name` from the first mirror that has it, whole or not at all. Raises DataError."""
    from urllib.error import URLError

    from torchvision.datasets.utils import download_url

    reason = ""
    for mirror in mirrors:
        try:
            with files.replacing(folder / name) as temporary:
                try:
                    download_url(f"{mirror}{name}", str(folder), temporary.name)
                except (URLError, RuntimeError, ValueError, ConnectionError, TimeoutError) as error:
                    reason = " ".join(str(error).split())
                    raise _NotThere from None
            return folder / name
        except _NotThere:
            continue
    raise DataError(f"{name}: no mirror gave it ({reason}); put the file into `data.path`, or run with a "
                    "network")


class _NotThere(Exception):
    """This mirror does not have the file."""
