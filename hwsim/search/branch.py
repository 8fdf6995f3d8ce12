"""Parts of a structure: options and tiles that are cut in two where the relaxation wavers most."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent
from hwsim.search.inner import SHARES, Options
from hwsim.search.narrow import ROUNDING
from hwsim.search.outer import BIG, Scratch, visit_weight
from hwsim.search.problem import LEADS, MONOMIALS, OUTER, Form, Numbers
from hwsim.search.scores import PLACES, score_all

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# The cut that parts the best option from all others.
BEST = -1


def cuts(
    n: Numbers, f: Form, options: tuple[Options, ...], a: Ascent, scratch: tuple[Scratch, ...]
) -> tuple[Ints, Floats]:
    """(axis, column of TAKEN) [cut, 2] and logarithms [cut] where options' swings weigh, the most
    first, of those that leave something on both sides; if there are none of these, the best option
    against the others; nothing where every axis has one option."""
    score_all(n, f, options, a.weights, scratch)
    weights = np.zeros((6, PLACES + 1))
    weigh(f, a, weights)
    where, logs = list[tuple[int, int]](), list[float]()
    for code in np.argsort(-weights.ravel(), kind="stable"):
        axis, c = divmod(int(code), PLACES + 1)
        if weights[axis, c] <= ROUNDING:
            break
        at = float(a.mean[axis, c] + (a.mean[axis, c + 1] if c == PLACES else 0.0))
        if all(sides(f, options[axis], scratch[axis], c, at)):
            where.append((axis, c))
            logs.append(at)
    sizes = [own.key.size for own in options]
    if not where and max(sizes) > 1:
        where, logs = [(int(np.argmax(sizes)), BEST)], [0.0]
    return np.array(where, np.int64).reshape(-1, 2), np.array(logs)


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
def _logs(f: Form, own: Scratch, c: int) -> Any:
    """What tiles above the array come to in a column [tile, tile]."""
    return own.times[f.tensors[c]] if c < OUTER else own.shares[f.tensors[c - MONOMIALS]]


@compiled()
def _row(o: Options, own: Scratch, c: int) -> Any:
    """What the options come to in a column."""
    if c == PLACES:
        return (o.ends[:, 0, 0] + o.ends[:, 0, 1])[o.spread]
    if c == BEST:
        scores = own.scores[: o.key.size]
        found = np.ones(o.key.size)
        found[np.argmin(scores)] = 0.0
        return found
    feature = c - OUTER if c < MONOMIALS else c - MONOMIALS - OUTER + SHARES
    for at in range(o.columns.size):
        if o.columns[at] == feature:
            return o.features[at].copy()
    return np.zeros(o.key.size)


@compiled()
def sides(f: Form, o: Options, own: Scratch, c: int, at: float) -> Any:
    """Whether there is anything on either side of a cut."""
    low = high = False
    if _is_above(c):
        logs, best = _logs(f, own, c), own.best[c % MONOMIALS + 1]
        for i in range(logs.shape[0]):
            for j in range(logs.shape[1]):
                if best[i, j] < BIG:
                    low |= logs[i, j] <= at + ROUNDING
                    high |= logs[i, j] > at + ROUNDING
        return low, high
    row = _row(o, own, c)
    return row.min() <= at + ROUNDING, row.max() > at + ROUNDING


@compiled()
def side(f: Form, o: Options, own: Scratch, c: int, at: float, above: bool) -> Any:
    """Numbers of an axis' options and its barred tiles on one side of a cut."""
    if not _is_above(c):
        return o.number[(_row(o, own, c) > at + ROUNDING) == above], o.barred
    barred, logs = o.barred.copy(), _logs(f, own, c)
    for i in range(logs.shape[0]):
        for j in range(logs.shape[1]):
            if (logs[i, j] > at + ROUNDING) != above:
                barred[c % MONOMIALS, i, j] = True
    return o.number, barred
