"""Parts of a structure: options and tiles that are cut in two where the relaxation wavers most."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent
from hwsim.search.inner import SHARES
from hwsim.search.narrow import ROUNDING
from hwsim.search.outer import BIG, Scratch, visit_weight
from hwsim.search.pool import Pool
from hwsim.search.problem import LEADS, MONOMIALS, OUTER, Form, Numbers
from hwsim.search.scores import PLACES, score_all
from hwsim.search.tables import Tables, tile_counts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# The cut that parts the best option from all others.
BEST = -1


@compiled()
def cuts(n: Numbers, f: Form, t: Tables, p: Pool, a: Ascent, s: Scratch) -> Any:
    """(axis, column of TAKEN) [cut, 2] and logarithms [cut] where options' swings weigh, the most
    first, of those that leave something on both sides; if there are none of these, the best option
    against the others; nothing where every axis has one option."""
    score_all(n, f, t, p, a.weights, s)
    weights = np.zeros((6, PLACES + 1))
    weigh(f, a, weights)
    where, logs, count = np.empty((weights.size, 2), np.int64), np.zeros(weights.size), 0
    for code in np.argsort(-weights.ravel(), kind="mergesort"):
        axis, c = code // (PLACES + 1), code % (PLACES + 1)
        if weights[axis, c] <= ROUNDING:
            break
        at = a.mean[axis, c] + (a.mean[axis, c + 1] if c == PLACES else 0.0)
        low, high = _sides(n, f, t, p, s, axis, c, at)
        if low and high:
            where[count, 0], where[count, 1], logs[count] = axis, c, at
            count += 1
    sizes = p.end - p.begin
    if count == 0 and sizes.max() > 1:
        where[0, 0], where[0, 1] = np.argmax(sizes), BEST
        count = 1
    return where[:count], logs[:count]


@compiled(allocates=False)
def weigh(f: Form, a: Ascent, weights: Floats) -> None:
    """Fills in how much each axis wavers in each column."""
    for axis in range(6):
        for c in range(PLACES + 1):
            weights[axis, c] = _weight(f, axis, c, a)


@compiled(allocates=False)
def _weight(f: Form, axis: int, c: int, a: Ascent) -> Any:
    """How much what the best options of an axis take wavers in a column, as it weighs."""
    w, swing = a.weights, a.swing[axis]
    if c == PLACES:
        return w.places[0] * swing[c] + w.places[1] * swing[c + 1]
    if c >= MONOMIALS:
        return w.tiles[c - MONOMIALS] * swing[c]
    if c >= LEADS:
        return 0.0
    if c >= OUTER:
        return w.theta[c] * swing[c]
    if c >= f.tensors.size or f.slides[c] == axis:
        return 0.0
    return visit_weight(f, axis, c, w.theta) * swing[c]


@compiled(allocates=False)
def _is_above(c: int) -> bool:
    """Whether a column is of tiles above the array."""
    return c != BEST and (c < OUTER or MONOMIALS <= c < MONOMIALS + OUTER)


@compiled()
def _logs(f: Form, t: Tables, axis: int, c: int) -> Any:
    """What tiles above the array come to in a column [tile, tile]."""
    return t.times[axis, f.tensors[c]] if c < OUTER else t.shares[axis, f.tensors[c - MONOMIALS]]


@compiled()
def _row(t: Tables, p: Pool, s: Scratch, axis: int, c: int) -> Floats:
    """What the options of an axis come to in a column."""
    a, b = p.begin[axis], p.end[axis]
    row = np.zeros(b - a)
    if c == PLACES:
        for i in range(a, b):
            row[i - a] = t.ends[p.spread[i], 0].sum()
    elif c == BEST:
        row[:] = 1.0
        row[np.argmin(s.scores[a:b])] = 0.0
    else:
        feature = c - OUTER if c < MONOMIALS else c - MONOMIALS - OUTER + SHARES
        for at in range(p.columns.size):
            if p.columns[at] == feature:
                row[:] = p.features[at, a:b]
    return row


@compiled()
def _sides(
    n: Numbers, f: Form, t: Tables, p: Pool, s: Scratch, axis: int, c: int, at: float
) -> Any:
    """Whether there is anything on either side of a cut."""
    low = high = False
    if _is_above(c):
        logs, best = _logs(f, t, axis, c), s.best[axis, c % MONOMIALS + 1]
        c0, c1 = tile_counts(n, axis)
        for i in range(c0):
            for j in range(c1):
                if best[i, j] < BIG:
                    low |= logs[i, j] <= at + ROUNDING
                    high |= logs[i, j] > at + ROUNDING
        return low, high
    row = _row(t, p, s, axis, c)
    return row.min() <= at + ROUNDING, row.max() > at + ROUNDING


@compiled()
def side(f: Form, t: Tables, p: Pool, s: Scratch, axis: int, c: int, at: float, above: bool) -> Any:
    """Numbers of an axis' options, and barred tiles of all axes, on one side of a cut."""
    number = p.number[p.begin[axis] : p.end[axis]]
    if not _is_above(c):
        return number[(_row(t, p, s, axis, c) > at + ROUNDING) == above], p.barred
    barred, logs = p.barred.copy(), _logs(f, t, axis, c)
    for i in range(logs.shape[0]):
        for j in range(logs.shape[1]):
            if (logs[i, j] > at + ROUNDING) != above:
                barred[axis, c % MONOMIALS, i, j] = True
    return number.copy(), barred
