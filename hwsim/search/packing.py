"""Sets of all axes' places or tiles that the array or a memory has room for.

Priced alone, places are spread as mixtures that fill an array with shares of places, which no nest
can have, and tiles likewise fill a memory. Here what an axis costs at least with so many places, or
such tiles at a store, is known for each of them, and the sets that fit and stay below a limit are
gone through; most structures have hundreds.
"""

from typing import Any, NamedTuple

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


class Classes(NamedTuple):
    """What sets are made of: places on the array, or tiles at a `store`, of each axis those from
    `starts[axis]` to `starts[axis + 1]`.

    `least`: the least score with each class, to whose sum `const` adds; `sizes`: the PEs that each
    takes, of which there are `most`, or 1.
    """

    store: int
    starts: Ints
    least: Floats
    const: float
    sizes: Ints
    most: int


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
    w, starts, const, most = a.weights, t.starts, a.const[0], 1
    if store == ON_ARRAY:
        const += float(w.places @ np.log((n.x, n.y)))
        w = w._replace(places=np.zeros(2))
        sizes, most = t.splits[:, 0].prod(axis=1), n.x * n.y
    else:
        starts = np.cumsum([0, *np.where(axes, t.counts[0].size, 1)])
        sizes = np.ones(starts[-1], np.int64)
    score_all(n, f, t, p, w, s)
    least = np.empty(starts[-1])
    least_scores(n, f, t, p, store, starts, w, s, least)
    known = Classes(store, starts, least, const, sizes, most)
    are_all, bounds, classes, splits = listed(n, f, t, s, known, limit)
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
def _rest(known: Classes) -> Floats:
    """What the axes from one on cost at least on no more than so many PEs [axis, PEs]: the numbers
    of those alone that some PEs times as many leave of all."""
    found = np.full((7, known.most + 1), BIG)
    found[6] = 0.0
    for axis in range(5, -1, -1):
        for left in range(1, known.most + 1):
            if known.most // (known.most // left) != left:
                continue
            for own in range(known.starts[axis], known.starts[axis + 1]):
                if known.sizes[own] <= left:
                    least = known.least[own] + found[axis + 1, left // known.sizes[own]]
                    found[axis, left] = min(found[axis, left], least)
    return found


@compiled()
def listed(n: Numbers, f: Form, t: Tables, s: Scratch, known: Classes, limit: float) -> Any:
    """Whether these are all, and bounds, classes and splits of `packings`."""
    starts, least, sizes = known.starts, known.least, known.sizes
    order, counts = _ordered(starts, least)
    bounds, count, tried = np.empty(LISTED), 0, 0
    classes, splits = np.empty((LISTED, 6), np.int64), np.zeros((LISTED, 6), np.int64)
    rest, cursor, left = _rest(known), np.zeros(6, np.int64), np.full(7, known.most)
    room, filled = room_at(n, f, t, s, known.store), nothing(n)
    score, at = np.zeros(7), 0
    score[0] = known.const
    while at >= 0 and tried < TRIED and count < LISTED:
        own = order[min(starts[at] + cursor[at], starts[at + 1] - 1)]
        if cursor[at] == counts[at] or score[at] + least[own] + rest[at + 1, left[at]] >= limit:
            at -= 1
            continue
        cursor[at] += 1
        score[at + 1], left[at + 1] = score[at] + least[own], left[at] // sizes[own]
        if not left[at + 1] or score[at + 1] + rest[at + 1, left[at + 1]] >= limit:
            continue
        tried += 1
        if not fits(n, f, t, s, known.store, starts, room, filled, at, own):
            continue
        classes[count, at] = own
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
