"""What a bound leaves of the options of a part."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent
from hwsim.search.inner import SHARES
from hwsim.search.outer import BIG, Scratch
from hwsim.search.pool import Pool, move
from hwsim.search.problem import INNER, OUTER, Form, Numbers
from hwsim.search.scores import score_all
from hwsim.search.tables import Tables

Floats = NDArray[np.float64]
# What differs less is the same.
ROUNDING = 1e-9
# Columns of what options use: tiles of pads, of one that rose, places along x, along y, and both.
X = INNER + 1
Y, BOTH, USES = X + 1, X + 2, X + 3


@compiled()
def narrow(n: Numbers, f: Form, t: Tables, p: Pool, a: Ascent, s: Scratch, limit: float) -> Any:
    """Leaves those of the options that a nest below `limit` may have, and that may fit with some of
    every other axis; whether every axis has any."""
    slack = max(limit - a.const[0] - score_all(n, f, t, p, a.weights, s), 0.0)
    uses = np.empty((6, USES))
    for axis in range(6):
        _least_uses(t, p, axis, uses[axis])
    least = uses.sum(axis=0)
    most, some = _most_uses(n, f, least), True
    for axis in range(6):
        _leave(t, p, axis, s.scores, slack, most - (least - uses[axis]))
        some &= p.end[axis] > p.begin[axis]
    return some


@compiled(allocates=False)
def _leave(t: Tables, p: Pool, axis: int, scores: Floats, slack: float, most: Floats) -> None:
    """Leaves the options of an axis that are within `slack` of the best and use no more than
    `most`."""
    least, to = BIG, p.begin[axis]
    for i in range(p.begin[axis], p.end[axis]):
        least = min(least, scores[i])
    for i in range(p.begin[axis], p.end[axis]):
        if scores[i] <= least + slack and _is_room(t, p, axis, i, most):
            move(p, i, to)
            to += 1
    p.end[axis] = to


@compiled(allocates=False)
def _is_room(t: Tables, p: Pool, axis: int, i: int, most: Floats) -> Any:
    """Whether an option uses no more than that."""
    for c in range(p.columns.size):
        if p.columns[c] >= SHARES and p.features[c, i] > most[p.columns[c] - SHARES]:
            return False
    x, y, both = _places(t, p, axis, i)
    return x <= most[X] and y <= most[Y] and both <= most[BOTH]


@compiled(allocates=False)
def _places(t: Tables, p: Pool, axis: int, i: int) -> Any:
    """Logarithms of the least places of an option along x, along y, and of both."""
    if p.splits[axis] >= 0:
        return 0.0, 0.0, 0.0
    ends = t.ends[p.spread[i]]
    return ends[0, 0], ends[1, 1], ends[0, 0] + ends[0, 1]


@compiled(allocates=False)
def _least_uses(t: Tables, p: Pool, axis: int, found: Floats) -> None:
    """Fills in logarithms of the least that options use of each pad and of the array [USES]."""
    found[:] = BIG
    found[:X] = 0.0
    for c in range(p.columns.size):
        if p.columns[c] >= SHARES and p.used[axis, c]:
            least = BIG
            for i in range(p.begin[axis], p.end[axis]):
                least = min(least, p.features[c, i])
            found[p.columns[c] - SHARES] = least
    for i in range(p.begin[axis], p.end[axis]):
        x, y, both = _places(t, p, axis, i)
        found[X], found[Y] = min(found[X], x), min(found[Y], y)
        found[BOTH] = min(found[BOTH], both)


@compiled()
def _most_uses(n: Numbers, f: Form, least: Floats) -> Floats:
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
