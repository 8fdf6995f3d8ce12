"""Sets of all axes' places or tiles that the array or a memory has room for.

Priced alone, places are spread as mixtures that fill an array with shares of places, which no nest
can have, and tiles likewise fill a memory. Here what an axis costs at least with so many places, or
such tiles at a store, is known for each of them, and the sets that fit and stay below a limit are
gone through; most structures have hundreds.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent
from hwsim.search.filling import fits, nothing, room_at, trace
from hwsim.search.outer import BIG, Scratch
from hwsim.search.pool import Pool
from hwsim.search.problem import Form, Numbers
from hwsim.search.scores import score_all
from hwsim.search.sets import ON_ARRAY, Sets, least_scores
from hwsim.search.tables import Tables

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# Sets that are listed, and sets that are tried, at most.
LISTED, TRIED = 4096, 100_000


def packings(
    n: Numbers,
    f: Form,
    t: Tables,
    p: Pool,
    a: Ascent,
    s: Scratch,
    store: int,
    axes: Flags,
    limit: float,
) -> Sets | None:
    """All sets of places, or of tiles of some axes at a store, below `limit`; None where there are
    more than are listed."""
    w, const, starts = a.weights, a.const[0], t.starts
    if store == ON_ARRAY:
        const = const + w.places @ np.log((n.x, n.y))
        w = w._replace(places=np.zeros(2))
    else:
        starts = np.cumsum([0, *np.where(axes, t.counts[0].size, 1)])
    score_all(n, f, t, p, w, s)
    least = np.empty(starts[-1])
    least_scores(n, f, t, p, store, starts, w, s, least)
    found = listed(n, f, t, s, store, starts, least, const, limit)
    are_all, bounds, classes, splits = found
    return Sets(bounds, classes, splits, starts, store) if are_all else None


@compiled()
def _ordered(starts: Ints, least: Floats) -> Any:
    """The classes of each axis by their scores, the lowest first, and how many are possible."""
    order, counts = np.empty(least.size, np.int64), np.zeros(6, np.int64)
    for axis in range(6):
        a, b = starts[axis], starts[axis + 1]
        order[a:b] = a + np.argsort(least[a:b], kind="mergesort")
        for at in range(a, b):
            counts[axis] += least[at] < BIG / 2
    return order, counts


@compiled()
def listed(
    n: Numbers,
    f: Form,
    t: Tables,
    s: Scratch,
    store: int,
    starts: Ints,
    least: Floats,
    const: float,
    limit: float,
) -> Any:
    """Whether these are all, and bounds, classes and splits of `packings` of classes whose scores
    are known, `const` what adds to their sum."""
    order, counts = _ordered(starts, least)
    bounds, count, tried = np.empty(LISTED), 0, 0
    classes, splits = np.empty((LISTED, 6), np.int64), np.zeros((LISTED, 6), np.int64)
    rest, score, cursor = np.zeros(7), np.zeros(7), np.zeros(6, np.int64)
    for axis in range(5, -1, -1):
        rest[axis] = rest[axis + 1] + least[order[starts[axis]]]
    room, filled = room_at(n, f, t, s, store), nothing(n)
    score[0], at = const, 0
    while at >= 0 and tried < TRIED and count < LISTED:
        own = order[min(starts[at] + cursor[at], starts[at + 1] - 1)]
        if cursor[at] == counts[at] or score[at] + least[own] + rest[at + 1] >= limit:
            at -= 1
            continue
        cursor[at] += 1
        tried += 1
        if not fits(n, f, t, s, store, starts, room, filled, at, own):
            continue
        score[at + 1], classes[count, at] = score[at] + least[own], own
        if at < 5:
            at += 1
            cursor[at] = 0
            continue
        bounds[count] = score[6]
        trace(filled, splits[count])
        count += 1
        if count < LISTED:
            classes[count] = classes[count - 1]
    ranked = np.argsort(bounds[:count], kind="mergesort")
    return at < 0, bounds[:count][ranked], classes[:count][ranked], splits[:count][ranked]
