"""Which pictures look alike: a perceptual hash, and the pairs whose hashes are near.

pHash (Zauner 2010): the signs of the lowest frequencies of the discrete cosine transform about their median.
256 bits, since 64 call most handwritten digits equal. All sums are of integers below 2^53, so that every
machine finds the same bits.
"""

import numpy as np
import pandas as pd

from aigc.data import hamming

SIDE = 16  # frequencies a side: 256 bits
SCALE = 1024
BITS = SIDE * SIDE
LUMA = np.array([299.0, 587.0, 114.0])  # ITU-R 601, thousandths


def _basis(length: int) -> np.ndarray:
    """The lowest cosines over `length` samples, as integers: float64 (SIDE or fewer, length)."""
    frequency = np.arange(min(SIDE, length))[:, None]
    return np.rint(SCALE * np.cos(np.pi * (2 * np.arange(length) + 1) * frequency / (2 * length)))


def phash(images: np.ndarray) -> list[str]:
    """uint8 (N, C, H, W), C 1 or 3 -> 64 hexadecimal digits each. A constant picture has only zeros."""
    pixels = images.astype(np.float64)
    grey = pixels[:, 0] if images.shape[1] == 1 else np.einsum("nchw,c->nhw", pixels, LUMA)
    spectrum = _basis(grey.shape[1]) @ grey @ _basis(grey.shape[2]).T
    flat = spectrum.reshape(len(images), -1)[:, 1:]  # without the mean
    bits = flat > np.median(flat, axis=1, keepdims=True)
    packed = np.zeros((len(images), BITS // 8), np.uint8)
    found = np.packbits(bits, axis=1)
    packed[:, :found.shape[1]] = found
    return [row.tobytes().hex() for row in packed]


def look_alikes(phashes: list[str], sha256: list[str], most_bits: int) -> np.ndarray:
    """For each picture the row of another one, not the same, whose hash differs in at most `most_bits` bits:
    int64 (N,), -1 = none.

    Equal pictures (by sha256) and pictures without structure (a hash of zeros) are left to other checks.
    """
    partner = np.full(len(phashes), -1, np.int64)
    codes = np.frombuffer(bytes.fromhex("".join(phashes)), np.uint8).reshape(len(phashes), BITS // 8)
    firsts = np.flatnonzero(codes.any(1) & ~pd.Index(sha256).duplicated())
    if not len(firsts):
        return partner
    unique, representative, group = np.unique(codes[firsts], axis=0, return_index=True, return_inverse=True)
    same = firsts[representative[group.reshape(-1)]]
    partner[firsts] = np.where(same != firsts, same, -1)
    rows = firsts[representative]
    shared = same[same != firsts]
    partner[shared] = np.where(partner[shared] < 0, firsts[same != firsts], partner[shared])
    near = hamming.near_rows(unique, partner[rows] < 0, most_bits)
    partner[rows[near >= 0]] = rows[near[near >= 0]]
    return partner
