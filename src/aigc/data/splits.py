"""The split of each picture (train, holdout or test): seeded, stratified, equal pictures together."""

import hashlib
from collections.abc import Iterable

import numpy as np

from aigc.data.config import SplitConfig

NAMES = ("train", "holdout", "test")


def assign(sha256: Iterable[str], labels: np.ndarray, split: SplitConfig) -> np.ndarray:
    """The split of each picture: object (N,) of "train", "holdout" or "test".

    A picture's place depends on the seed, on its own hash and on those of its class, never on its row. Copies
    of one picture go where the first of them goes. Shares are met per class, to the nearest picture. Works on
    the hashes' bytes, so that many pictures take little memory.
    """
    codes = np.fromiter((bytes.fromhex(name) for name in sha256), "S32", len(labels))
    unique, group, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    del codes
    label = np.full(len(unique), np.iinfo(np.int64).max)
    np.minimum.at(label, group, labels)
    ranks = np.fromiter((_rank(code, split.seed) for code in unique), "S32", len(unique))
    places = np.zeros(len(unique), np.uint8)
    for one in np.unique(label):
        members = np.flatnonzero(label == one)
        members = members[np.argsort(ranks[members])]
        total = int(sizes[members].sum())
        test = round(split.test * total)
        holdout = test + round(split.holdout * total)
        before = sizes[members].cumsum() - sizes[members]
        places[members] = np.where(before < test, 2, np.where(before < holdout, 1, 0))
    return np.array(NAMES, dtype=object)[places[group]]


def _rank(code: bytes, seed: int) -> bytes:
    name = code.ljust(32, b"\0").hex()  # numpy drops zeros at the end
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
