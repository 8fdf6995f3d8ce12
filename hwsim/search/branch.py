"""Parts of a structure: options and tiles that are cut in two where the relaxation wavers most."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent
from hwsim.search.inner import SHARES, Options
from hwsim.search.outer import BIG, Scratch, visit_weight
from hwsim.search.problem import INNER, LEADS, MONOMIALS, OUTER, Form, Numbers
from hwsim.search.scores import PLACES, score_all

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# The cut that parts the best option from all others; what differs less is the same.
BEST, ROUNDING = -1, 1e-9
# Columns of what options use: tiles of pads, of one that rose, places along x, along y, and both.
X = INNER + 1
Y, BOTH, USES = X + 1, X + 2, X + 3


@compiled()
def chosen(o: Options, keep: Ints) -> Options:
    """Those of the options alone."""
    features = np.empty((o.columns.size, keep.size))
    for c in range(o.columns.size):
        features[c] = o.features[c][keep]
    again, used = np.full(o.keys.shape[0], -1, np.int64), 0
    key = np.empty(keep.size, np.int64)
    keys = np.empty_like(o.keys)
    for i in range(keep.size):
        old = o.key[keep[i]]
        if again[old] < 0:
            again[old], keys[used] = used, o.keys[old]
            used += 1
        key[i] = again[old]
    return Options(
        features,
        o.columns,
        o.number[keep],
        o.ways,
        o.spread[keep],
        o.splits,
        o.split_counts,
        o.ends,
        o.end_splits,
        key,
        keys[:used].copy(),
        o.barred,
    )


def narrowed(
    n: Numbers,
    f: Form,
    options: tuple[Options, ...],
    a: Ascent,
    scratch: tuple[Scratch, ...],
    limit: float,
) -> tuple[Options, ...]:
    """Those of the options that a nest below `limit` may have, and that may fit with some of every
    other axis; perhaps none."""
    slack = max(limit - a.const[0] - score_all(n, f, options, a.weights, scratch), 0.0)
    least = np.array([least_uses(own) for own in options])
    rest, most = least.sum(axis=0) - least, most_uses(n, f, least.sum(axis=0))
    return tuple(
        near_best(own, room.scores, slack, most - others)
        for own, room, others in zip(options, scratch, rest, strict=True)
    )


@compiled()
def near_best(o: Options, scores: Floats, slack: float, most: Floats) -> Options:
    """The options of an axis that are within `slack` of the best and use no more than `most`."""
    own = scores[: o.key.size]
    keep = own <= own.min() + slack
    for c in range(o.columns.size):
        if o.columns[c] >= SHARES:
            keep &= o.features[c] <= most[o.columns[c] - SHARES]
    for i in range(keep.size):
        ends = o.ends[o.spread[i]]
        keep[i] &= ends[0, 0] <= most[X] and ends[1, 1] <= most[Y] and ends[0].sum() <= most[BOTH]
    return chosen(o, np.nonzero(keep)[0])


@compiled()
def least_uses(o: Options) -> Floats:
    """Logarithms of the least that options use of each pad and of the array [USES]."""
    found = np.full(USES, BIG)
    found[:X] = 0.0
    for c in range(o.columns.size):
        if o.columns[c] >= SHARES:
            found[o.columns[c] - SHARES] = o.features[c].min()
    for at in o.spread:
        found[X] = min(found[X], o.ends[at, 0, 0])
        found[Y] = min(found[Y], o.ends[at, 1, 1])
        found[BOTH] = min(found[BOTH], o.ends[at, 0].sum())
    return found


@compiled()
def most_uses(n: Numbers, f: Form, least: Floats) -> Floats:
    """Logarithms of what there is of each pad, beside the least of others in the same memory, and
    of the array [USES]."""
    found = np.full(USES, BIG)
    for j in range(X):
        memory = f.memory[OUTER + j]
        if memory >= 0:
            room = n.room[memory]
            for other in range(X):
                if other != j and f.memory[OUTER + other] == memory:
                    room -= f.bits[OUTER + other] * np.exp(least[other])
            found[j] = np.log(max(room, ROUNDING) / f.bits[OUTER + j]) + ROUNDING
    found[X], found[Y] = np.log(n.x) + ROUNDING, np.log(n.y) + ROUNDING
    found[BOTH] = found[X] + found[Y]
    return found


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
def side(f: Form, o: Options, own: Scratch, c: int, at: float, above: bool) -> Options:
    """The options and tiles of an axis on one side of a cut."""
    if not _is_above(c):
        return chosen(o, np.nonzero((_row(o, own, c) > at + ROUNDING) == above)[0])
    barred, logs = o.barred.copy(), _logs(f, own, c)
    for i in range(logs.shape[0]):
        for j in range(logs.shape[1]):
            if (logs[i, j] > at + ROUNDING) != above:
                barred[c % MONOMIALS, i, j] = True
    return Options(
        o.features,
        o.columns,
        o.number,
        o.ways,
        o.spread,
        o.splits,
        o.split_counts,
        o.ends,
        o.end_splits,
        o.key,
        o.keys,
        barred,
    )
