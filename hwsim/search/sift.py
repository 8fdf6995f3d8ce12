"""Sets of places gone through, one after the other, while bounds rise above a limit.

Most sets of places are ruled out by a few rounds, which take less time than it takes to hand their
options from Python to compiled code and back. So all of a structure's options are handed over once,
sorted by their places, and what comes back is the first set that is not ruled out.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dual import FIRM, Ascent, Desk, bound
from hwsim.search.inner import Options
from hwsim.search.master import Goal
from hwsim.search.narrow import chosen
from hwsim.search.outer import Scratch
from hwsim.search.problem import Form, Numbers

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# Options that a round goes through in the time in which a walk tries one; what it takes besides.
SWIFTER, EACH_ROUND = 80, 100


@compiled(allocates=False)
def effort_of(options: int) -> Any:
    """The effort of a round through so many options."""
    return EACH_ROUND + options // SWIFTER


class Groups(NamedTuple):
    """The `options` of an axis, sorted by their places, which cost nothing.

    Those of spread s are from `starts[s]` to `starts[s + 1]`, each with one features [used column,
    option] after the other in a single row, and keys from `key_starts[s]` to `key_starts[s + 1]`.
    """

    options: Options
    starts: Ints
    key_starts: Ints


class Sets(NamedTuple):
    """Sets of places: `bounds` [set], the lowest first, `spreads` and `splits` [set, axis]."""

    bounds: Floats
    spreads: Ints
    splits: Ints


@compiled()
def grouped(o: Options) -> Groups:
    """Options of an axis by their places."""
    count, wide, spreads = o.key.size, o.columns.size, o.split_counts.size
    features, number, key = np.empty(wide * count), np.empty(count, np.int64), o.key.copy()
    keys = np.empty((count, 2), np.int64)
    starts, key_starts = np.zeros((2, spreads + 1), np.int64)
    for at in range(spreads):
        one = chosen(o, np.nonzero(o.spread == at)[0])
        a, i = starts[at], key_starts[at]
        b, j = a + one.key.size, i + one.keys.shape[0]
        features[wide * a : wide * b] = one.features.ravel()
        number[a:b], key[a:b], keys[i:j] = one.number, one.key, one.keys
        starts[at + 1], key_starts[at + 1] = b, j
    own = Options(
        features.reshape(1, wide * count),
        o.columns,
        number,
        o.ways,
        np.zeros(count, np.int64),
        o.splits,
        o.split_counts,
        np.zeros((1, 2, 2)),
        np.zeros((1, 2), np.int64),
        key,
        keys,
        o.barred,
    )
    return Groups(own, starts, key_starts)


@compiled(inline=True)
def _group(g: Groups, at: int) -> Options:
    """Those of one number of places."""
    o, a, b, wide = g.options, g.starts[at], g.starts[at + 1], g.options.columns.size
    return Options(
        o.features[0, wide * a : wide * b].reshape(wide, b - a),
        o.columns,
        o.number[a:b],
        o.ways,
        o.spread[a:b],
        o.splits[at : at + 1],
        o.split_counts[at : at + 1],
        o.ends,
        o.end_splits,
        o.key[a:b],
        o.keys[g.key_starts[at] : g.key_starts[at + 1]],
        o.barred,
    )


@compiled(allocates=False)
def sift(
    n: Numbers,
    f: Form,
    goal: Goal,
    groups: tuple[Groups, ...],
    start: Ascent,
    a: Ascent,
    scratch: tuple[Scratch, ...],
    desk: Desk,
    sets: Sets,
    first: int,
    last: int,
    limit: float,
    rounds: int,
) -> Any:
    """(the first of the sets whose bound stays below `limit` in so many rounds from `start`, or
    `last`, rounds that it took, the effort of all); `a` is how far that one was raised."""
    at, done, work = first, 0, 0
    while at < last and sets.bounds[at] < limit:
        own, size = sets.spreads[at], 0
        for axis in range(6):
            groups[axis].options.end_splits[0, 0] = sets.splits[at, axis]
            groups[axis].options.end_splits[0, 1] = sets.splits[at, axis]
            size += groups[axis].starts[own[axis] + 1] - groups[axis].starts[own[axis]]
        options = (
            _group(groups[0], own[0]),
            _group(groups[1], own[1]),
            _group(groups[2], own[2]),
            _group(groups[3], own[3]),
            _group(groups[4], own[4]),
            _group(groups[5], own[5]),
        )
        _restart(start, a)
        found, done = bound(n, f, goal, options, a, scratch, desk, limit, rounds)
        work += done * effort_of(size)
        if found < limit:
            sets.bounds[at] = max(sets.bounds[at], found)
            break
        at += 1
    return at, done, work


@compiled()
def _restart(start: Ascent, a: Ascent) -> None:
    """Puts an ascent where another one began."""
    a.weights.theta[:], a.weights.tiles[:] = start.weights.theta, start.weights.tiles
    a.weights.places[:], a.weights.busy[:] = start.weights.places, start.weights.busy
    a.const[:], a.firm[:] = start.const, FIRM
    a.mean[:], a.swing[:] = 0.0, 0.0
    a.mixture.start[:], a.mixture.faith[:] = start.mixture.start, 1.0
    a.mixture.shares[:], a.mixture.counts[:] = 0.0, 0
    a.value[0] = np.inf
