"""Sets of places gone through, one after the other, while bounds rise above a limit.

Most sets of places are ruled out by weights that others were ruled out at, or by a few rounds,
which take less time than it takes to hand their options from Python to compiled code and back. So
all of a structure's options are handed over once, sorted by their places, and what comes back is
the first set that is not ruled out.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dual import FIRM, Ascent, Desk, bound
from hwsim.search.master import Goal
from hwsim.search.outer import Scratch
from hwsim.search.pool import Pool, options_in
from hwsim.search.problem import Form, Numbers
from hwsim.search.raising import effort_of
from hwsim.search.tables import Tables
from hwsim.search.tried import Tried, begin_at, highest, remember

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Sets that are bounded at a time.
MANY = 256


class Groups(NamedTuple):
    """Options sorted by their places: those of spread s are from `starts[s]` to `starts[s + 1]`."""

    pool: Pool
    starts: Ints


class Sets(NamedTuple):
    """Sets of places: `bounds` [set], the lowest first, `spreads` and `splits` [set, axis]."""

    bounds: Floats
    spreads: Ints
    splits: Ints


def grouped(t: Tables, p: Pool) -> Groups:
    """Options by their places."""
    order = np.argsort(p.spread, kind="stable")
    pool = p._replace(
        begin=p.begin.copy(),
        end=p.end.copy(),
        number=p.number[order],
        spread=p.spread[order],
        key=p.key[order],
        features=p.features.take(order, axis=1),
        splits=p.splits.copy(),
    )
    return Groups(pool, np.searchsorted(pool.spread, np.arange(t.split_counts.size + 1)))


@compiled(allocates=False)
def sift(
    n: Numbers,
    f: Form,
    goal: Goal,
    t: Tables,
    groups: Groups,
    start: Ascent,
    a: Ascent,
    s: Scratch,
    desk: Desk,
    sets: Sets,
    tried: Tried,
    first: int,
    limit: float,
    rounds: int,
) -> Any:
    """(the first of the sets whose bound stays below `limit` in so many rounds, or where to go on
    after MANY of them, rounds that it took, the effort of all); `a` is how far that one was raised,
    and did not begin if there is none."""
    at, done, work, p = first, 0, 0, groups.pool
    turns = 0
    while at < sets.bounds.size and sets.bounds[at] < limit and turns < MANY:
        reached, best = highest(tried, sets.spreads[at])
        if reached >= limit:
            at += 1
            continue
        turns += 1
        _restart(start, a)
        if best >= 0:
            begin_at(tried, best, a)
        for axis in range(6):
            own = sets.spreads[at, axis]
            p.begin[axis], p.end[axis] = groups.starts[own], groups.starts[own + 1]
            p.splits[axis] = sets.splits[at, axis]
        found, done = bound(n, f, goal, t, p, a, s, desk, limit, rounds)
        work += done * effort_of(options_in(p))
        if found < limit:
            sets.bounds[at] = max(sets.bounds[at], found)
            return at, done, work
        for axis in range(6):
            p.begin[axis] = groups.starts[t.starts[axis]]
            p.end[axis] = groups.starts[t.starts[axis + 1]]
        work += effort_of(options_in(p))
        remember(n, f, t, p, a, s, desk.picks, tried)
        at += 1
    return at, -1, work


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
