"""Which binary codes are near each other, without comparing all pairs and without missing one.

Two codes that differ in at most b bits agree in one of any b + 1 bands of their bits (multi-index hashing,
Norouzi et al. 2012). Codes are sorted by each band in turn and compared with those that share the band. Of
random codes of 256 bits, and b = 16, a band is shared by one in 2^15. With b = 64 it is one in 16: then all
pairs are compared.
"""

import numpy as np

# Codes with the same band that are compared one with all. Where there are more, those that found none so far
# are searched again, by bands of the bits in which these codes differ.
HEAVY = 4096
FEW = 16  # with less than one in so many codes left, these are looked at one by one


def near_rows(codes: np.ndarray, is_open: np.ndarray, most_bits: int) -> np.ndarray:
    """For each open row, another row at a Hamming distance of at most `most_bits`: int64 (N,), -1 = none.

    codes: uint8 (N, 8 k), all distinct. A row that has found one is not compared any further: n pictures of
    one scene would make n^2 pairs.
    """
    mate, compared = np.full(len(codes), -1, np.int64), 0
    varying = np.flatnonzero(np.unpackbits(np.bitwise_or.reduce(codes ^ codes[0])))
    for band in np.array_split(varying, most_bits + 1):
        order, first, last = _buckets(_band_of(codes, band))
        compared += int((last - first).sum())
        if all_pairs := compared > len(codes)**2:  # more bands would take longer than to compare all
            first[:], last[:] = 0, len(codes)
        words = codes.view(np.uint64)[order].T.copy()
        # Codes of one bucket agree in the band, so words of other bits tell them apart sooner.
        words = np.roll(words, -(int(band[0]) // 64 + 2), axis=0) if len(band) else words
        found, rest = _walk(words, first, last, np.flatnonzero((is_open & (mate < 0))[order]), most_bits,
                            len(codes) if all_pairs else HEAVY)
        near = found >= 0
        mate[order[near]] = order[found[near]]
        for start in np.unique(first[rest]):
            rows, left = order[start:last[start]], np.zeros(last[start] - start, bool)
            left[rest[first[rest] == start] - start] = True
            inner = near_rows(codes[rows], left, most_bits)
            mate[rows[inner >= 0]] = rows[inner[inner >= 0]]
        if all_pairs:
            break
    return mate


def _band_of(codes: np.ndarray, band: np.ndarray) -> np.ndarray:
    """The bits `band` of each code, as numbers to sort by: uint16 (N, 1) or uint64 (N, columns)."""
    held = np.unique(band // 8)
    columns = 8 * np.searchsorted(held, band // 8) + band % 8
    packed = np.packbits(np.unpackbits(codes[:, held], axis=1)[:, columns], axis=1)
    kind = np.dtype(np.uint16 if packed.shape[1] <= 2 else np.uint64)  # numpy sorts 16 bits in linear time
    padded = np.zeros((len(codes), max(1, -(-packed.shape[1] // kind.itemsize)) * kind.itemsize), np.uint8)
    padded[:, :packed.shape[1]] = packed
    return padded.view(kind)


def _buckets(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows in an order in which equal keys are neighbours, and, for each place of it, the first place of
    its bucket and the one after the last: int64 (N,) each.
    """
    order = np.lexsort(keys.T) if keys.shape[1] > 1 else np.argsort(keys[:, 0], kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.append(True, (ordered[1:] != ordered[:-1]).any(1)))
    sizes = np.diff(np.append(starts, len(keys)))
    return order, np.repeat(starts, sizes), np.repeat(starts + sizes, sizes)


def _walk(words: np.ndarray, first: np.ndarray, last: np.ndarray, places: np.ndarray,
          most_bits: int, most_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of `places` the nearest place of its bucket with a code within `most_bits`: int64 (N,), -1 =
    none; and the places that have none within `most_steps`, in buckets that are longer.

    words: uint64 (words of a code, N). Of two equally near places the later one is taken.
    """
    found, searches = np.full(len(first), -1, np.int64), np.zeros(len(first), bool)
    searches[places] = True
    for step in range(1, most_steps + 2):
        many = len(places) > len(first) // FEW
        if not many or step % FEW == 1 or step > most_steps:
            places = places[searches[places]
                            & ((places - step >= first[places]) | (places + step < last[places]))]
        if not len(places) or step > most_steps:
            break
        if many:
            one = np.flatnonzero(_differ(words, step, most_bits) <= most_bits)
            one = one[one + step < last[one]]
        else:
            one = np.concatenate([places[places + step < last[places]],
                                  places[places - step >= first[places]] - step])
        one = one[_are_near(words, one, one + step, most_bits)]
        ahead = one[searches[one]]
        searches[ahead] = False
        back = one[searches[one + step]] + step
        searches[back] = False
        found[ahead], found[back] = ahead + step, back - step
    return found, places


def _differ(words: np.ndarray, step: int, most_bits: int) -> np.ndarray:
    """In how many bits each code differs from the one `step` places on: uint8 (N - step,).

    In the first words alone: so many that random codes mostly differ in more than `most_bits` of their bits.
    """
    return np.asarray(sum(np.bitwise_count(word[:-step] ^ word[step:])
                          for word in words[:min(3, 1 + most_bits // 20)]))


def _are_near(words: np.ndarray, one: np.ndarray, other: np.ndarray, most_bits: int) -> np.ndarray:
    """Whether the codes at the places `one` and `other` differ in at most `most_bits` bits: bool (pairs,)."""
    kept, distance = np.arange(len(one)), np.zeros(len(one), np.uint16)
    for word in words:
        distance = distance + np.bitwise_count(word[one[kept]] ^ word[other[kept]])
        still = distance <= most_bits
        kept, distance = kept[still], distance[still]
    near = np.zeros(len(one), bool)
    near[kept] = True
    return near
