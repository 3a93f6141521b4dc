"""Stretches of rows, so that what is pairwise never lies in memory whole."""

from collections.abc import Iterator

ELEMENTS = 1 << 23  # float64 numbers a block of pairs holds: 64 MiB


def stretches(rows: int, columns: int) -> Iterator[slice]:
    """Slices over `rows` such that one block of rows x `columns` holds at most ELEMENTS numbers (and one row at least)."""
    step = max(1, ELEMENTS // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
