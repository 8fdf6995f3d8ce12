"""Options that another one beats in everything, which no best nest needs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Options that one is compared with, at most.
MOST = 50
# Features that differ by less are the same.
ROUNDING = 1e-12


@compiled()
def unbeaten(rows: Ints) -> Any:
    """The numbers of those rows that none before them matches or beats in all columns."""
    kept, count = np.empty(rows.shape[0], np.int64), 0
    for row in range(rows.shape[0]):
        beaten = False
        for other in kept[:count]:
            beaten = True
            for column in range(rows.shape[1]):
                if rows[row, column] < rows[other, column]:
                    beaten = False
                    break
            if beaten:
                break
        if not beaten:
            kept[count] = row
            count += 1
    return kept[:count]


@compiled()
def undominated(features: Floats, spread: Ints, key: Ints) -> Any:
    """The numbers of those options, in order, that no other one with the same places and tiles
    above the array beats or equals in all `features` [feature, option], and of some more."""
    count = key.size
    rows, sums = np.ascontiguousarray(features.T), np.zeros(count)
    for i in range(count):
        sums[i] = rows[i].sum()
    # The first and the last of the kept ones of a group, and the next one after each.
    most = int(key.max()) + 1
    groups = (int(spread.max()) + 1) * most
    first, last, after = np.full(groups, -1), np.full(groups, -1), np.full(count, -1)
    keep = np.zeros(count, np.bool_)
    for i in np.argsort(sums, kind="mergesort"):
        group = spread[i] * most + key[i]
        other, tried = first[group], 0
        while other >= 0 and tried < MOST and not _beats(rows[other], rows[i]):
            other = after[other]
            tried += 1
        if other >= 0 and tried < MOST:
            continue
        keep[i] = True
        if last[group] >= 0:
            after[last[group]] = i
        else:
            first[group] = i
        last[group] = i
    return np.nonzero(keep)[0]


@compiled(inline=True)
def _beats(one: Floats, other: Floats) -> Any:
    """Whether one is nowhere above the other."""
    at = 0
    while at < one.size and one[at] <= other[at] + ROUNDING:
        at += 1
    return at == one.size
