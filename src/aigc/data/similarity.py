"""Which pictures look alike: a perceptual hash, and the pairs whose hashes are near.

pHash (Zauner 2010): the signs of the lowest frequencies of the discrete cosine transform about their median.
256 bits, since 64 call most handwritten digits equal. All sums are of integers below 2^53, so that every
machine finds the same bits.
"""

import numpy as np

SIDE = 16  # frequencies a side: 256 bits
SCALE = 1024
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
    packed = np.zeros((len(images), SIDE * SIDE // 8), np.uint8)
    found = np.packbits(bits, axis=1)
    packed[:, :found.shape[1]] = found
    return [row.tobytes().hex() for row in packed]


def look_alikes(phashes: list[str], sha256: list[str], most_bits: int) -> np.ndarray:
    """For each picture the row of another one, not the same, whose hash differs in at most `most_bits` bits:
    int64 (N,), -1 = none.

    Equal pictures (by sha256) and pictures without structure (a hash of zeros) are left to other checks. Two
    hashes that differ in at most b bits agree in at least one of b + 1 bands, so that only pictures that
    share a band are compared.
    """
    partner = np.full(len(phashes), -1, np.int64)
    blank = "0" * (SIDE * SIDE // 4)
    first_rows = {name: row for row, name in reversed(list(enumerate(sha256))) if phashes[row] != blank}
    firsts = np.array(sorted(first_rows.values()), np.int64)
    if not len(firsts):
        return partner
    joined = b"".join(bytes.fromhex(phashes[row]) for row in firsts)
    codes = np.frombuffer(joined, np.uint8).reshape(len(firsts), -1)
    unique, representative, group = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    same = firsts[representative[group.reshape(-1)]]
    partner[firsts] = np.where(same != firsts, same, -1)
    rows = firsts[representative]
    shared = same[same != firsts]
    partner[shared] = np.where(partner[shared] < 0, firsts[same != firsts], partner[shared])
    near = _near_rows(unique, partner[rows] < 0, most_bits)
    partner[rows[near >= 0]] = rows[near[near >= 0]]
    return partner


def _near_rows(codes: np.ndarray, open_rows: np.ndarray, most_bits: int) -> np.ndarray:
    """For each open row of distinct codes, a row at a Hamming distance of at most `most_bits`: int64, -1 =
    none.

    A row that has found one is not compared any further: n pictures of one scene would make n^2 pairs.
    """
    words, bits = codes.view(np.uint64), np.unpackbits(codes, axis=1)
    mate = np.full(len(codes), -1, np.int64)
    for band in np.array_split(np.arange(bits.shape[1]), most_bits + 1):
        keys = np.packbits(bits[:, band], axis=1)
        order = np.lexsort(keys.T)
        # Equal keys are neighbours in this order: number the runs of them.
        run = np.cumsum(np.append(True, (keys[order][1:] != keys[order][:-1]).any(1)))
        first, last = (np.searchsorted(run, run, side) for side in ("left", "right"))
        places = np.flatnonzero(open_rows[order] & (mate[order] < 0))
        step = 1
        while len(places := places[(places - step >= first[places]) | (places + step < last[places])]):
            for others in (places + step, places - step):
                inside = (others >= first[places]) & (others < last[places])
                here, there = order[places[inside]], order[others[inside]]
                near = (np.bitwise_count(words[here] ^ words[there]).sum(1) <= most_bits) & (mate[here] < 0)
                mate[here[near]] = there[near]
            places = places[mate[order[places]] < 0]
            step += 1
    return mate
