"""What is left of a structure's options: those of a part, and those that its bound leaves in it."""

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent
from hwsim.search.inner import SHARES, Options
from hwsim.search.outer import BIG, Scratch
from hwsim.search.problem import INNER, OUTER, Form, Numbers
from hwsim.search.scores import score_all

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# What differs less is the same.
ROUNDING = 1e-9
# Columns of what options use: tiles of pads, of one that rose, places along x, along y, and both.
X = INNER + 1
Y, BOTH, USES = X + 1, X + 2, X + 3


@compiled()
def subset_of(o: Options, rows: Ints, barred: Flags, split: int) -> Options:
    """The options of an axis that a subset has."""
    own, ends, end_splits = o, o.ends, o.end_splits
    if rows.size < o.key.size:
        own = chosen(o, rows)
    if split >= 0:
        ends, end_splits = np.zeros_like(ends), np.full_like(end_splits, split)
    return Options(
        own.features,
        own.columns,
        own.number,
        own.ways,
        own.spread,
        own.splits,
        own.split_counts,
        ends,
        end_splits,
        own.key,
        own.keys,
        barred,
    )


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
