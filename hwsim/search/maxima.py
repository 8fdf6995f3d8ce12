"""Sums of which the largest counts, where each one is a row of factors of monomials.

A sum: a factor of each monomial, less so much if it is visited at all, and a constant.
"""

from collections.abc import Iterable
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.problem import MONOMIALS

Floats = NDArray[np.float64]
EACH, FIRST, CONST = slice(0, MONOMIALS), slice(MONOMIALS, 2 * MONOMIALS), 2 * MONOMIALS
SUM = 2 * MONOMIALS + 1
# Alternatives of a maximum beyond which those that look shortest are left out.
MOST_SUMS = 64
# Sums of the same times in another order differ by less than this share.
ROUNDING = 1e-12


@compiled()
def longest(sums: Floats) -> Any:
    """Those of the sums [sum, SUM] that may be the largest, at least one; not all if they are too
    many."""
    flat = np.empty((sums.shape[0], MONOMIALS + 1))
    for at in range(sums.shape[0]):
        flat[at, :MONOMIALS] = sums[at, :MONOMIALS]
        flat[at, MONOMIALS] = sums[at, CONST] - sums[at, MONOMIALS:CONST].sum()
    kept, count = np.zeros(sums.shape[0], np.int64), 0
    for at in np.argsort(-flat.sum(axis=1), kind="mergesort"):
        if count < MOST_SUMS and np.any(flat[at] != 0.0) and not _beaten(flat, kept[:count], at):
            kept[count] = at
            count += 1
    return sums[kept[:count]] if count else np.zeros((1, SUM))


@compiled()
def _beaten(flat: Floats, kept: NDArray[np.int64], at: int) -> Any:
    """Whether one of those kept has no smaller factor anywhere."""
    least, found = flat[at] - ROUNDING * np.abs(flat[at]), 0
    for other in kept:
        found += int(np.all(flat[other] >= least))
    return found > 0


def added(parts: Iterable[Floats]) -> Floats:
    """All sums of one of each part that may be the largest."""
    found: Floats = reduce(pairs, parts)
    return found


@compiled()
def pairs(one: Floats, other: Floats) -> Any:
    found = np.empty((one.shape[0] * other.shape[0], SUM))
    for i in range(one.shape[0]):
        for j in range(other.shape[0]):
            found[i * other.shape[0] + j] = one[i] + other[j]
    return longest(found)


def positive(row: Floats) -> tuple[Floats, float]:
    """Factors of monomials and a constant of a sum that is no larger, all of them positive.

    All monomials are at least 1: what is not paid for first visits is taken from each visit, for as
    few monomials as the constant needs.
    """
    each, first = row[EACH].copy(), row[FIRST]
    const = row[CONST] - first.sum()
    for m in np.argsort(-first, kind="stable"):
        if const < 0 and first[m] > 0:
            part = min(1.0, -const / first[m]) * first[m]
            each[m] -= part
            const += part
    return np.maximum(each, 0.0), max(const, 0.0)
