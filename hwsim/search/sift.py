"""Sets of places or tiles gone through, one after the other, while bounds rise above a limit.

Most sets are ruled out by weights that others were ruled out at, or by a few rounds,
which take less time than it takes to hand their options from Python to compiled code and back. So
all of a structure's options are handed over once, sorted by their places, and what comes back is
the first set that is not ruled out.
"""

from typing import Any

import numpy as np

from hwsim._compiled import compiled
from hwsim.search.dual import FIRM, Ascent, Desk, bound
from hwsim.search.master import Goal
from hwsim.search.outer import Scratch
from hwsim.search.pool import options_in
from hwsim.search.problem import Form, Numbers
from hwsim.search.raising import effort_of
from hwsim.search.sets import Groups, Sets, take, take_all
from hwsim.search.tables import Tables
from hwsim.search.tried import Tried, begin_at, highest, remember

# Sets that are bounded at a time.
MANY = 256


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
    at, turns, work, p = first, 0, 0, groups.pool
    while at < sets.bounds.size and sets.bounds[at] < limit and turns < MANY:
        reached, best = highest(tried, sets.classes[at])
        if reached >= limit:
            at += 1
            continue
        turns += 1
        _restart(start, a)
        if best >= 0:
            begin_at(tried, best, a)
        take(n, groups, sets, at)
        found, done = bound(n, f, goal, t, p, a, s, desk, limit, rounds)
        work += done * effort_of(options_in(p))
        take_all(t, groups, sets)
        if found < limit:
            sets.bounds[at] = max(sets.bounds[at], found)
            return at, done, work
        work += effort_of(options_in(p))
        remember(n, f, t, p, sets.store, sets.starts, a, s, desk.picks, tried)
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
