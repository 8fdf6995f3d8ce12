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
from hwsim.search.narrow import ROUNDING
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

    `least`: the least score with each class, to whose sum `const` adds; `prices` of the places of
    each, of which sets that fit have `most` at most.
    """

    store: int
    starts: Ints
    least: Floats
    const: float
    prices: Floats
    most: float


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
    w, starts, most = a.weights, t.starts, 0.0
    if store == ON_ARRAY:
        prices = (t.ends @ w.places).min(axis=1)
        most = float(w.places @ np.log((n.x, n.y)))
        w = w._replace(places=np.zeros(2))
    else:
        starts = np.cumsum([0, *np.where(axes, t.counts[0].size, 1)])
        prices = np.zeros(starts[-1])
    score_all(n, f, t, p, w, s)
    least = np.empty(starts[-1])
    least_scores(n, f, t, p, store, starts, w, s, least)
    known = Classes(store, starts, least, a.const[0] + most, prices, most)
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
def listed(n: Numbers, f: Form, t: Tables, s: Scratch, known: Classes, limit: float) -> Any:
    """Whether these are all, and bounds, classes and splits of `packings`.

    What is left of the array is never worth more than its price: so axes that are yet to come cost
    no less than at that price, however many places those before leave to them.
    """
    starts, least, prices = known.starts, known.least, known.prices
    order, counts = _ordered(starts, least)
    bounds, count, tried = np.empty(LISTED), 0, 0
    classes, splits = np.empty((LISTED, 6), np.int64), np.zeros((LISTED, 6), np.int64)
    rest, dear, cursor = np.zeros(7), np.zeros(7), np.zeros(6, np.int64)
    for axis in range(5, -1, -1):
        a, b = starts[axis], starts[axis + 1]
        rest[axis] = rest[axis + 1] + least[a:b].min()
        dear[axis] = dear[axis + 1] + (least[a:b] + prices[a:b]).min()
    room, filled = room_at(n, f, t, s, known.store), nothing(n)
    score, paid, at = np.zeros(7), np.zeros(7), 0
    score[0], paid[0] = known.const, -known.most
    while at >= 0 and tried < TRIED and count < LISTED:
        own = order[min(starts[at] + cursor[at], starts[at + 1] - 1)]
        if cursor[at] == counts[at] or score[at] + least[own] + rest[at + 1] >= limit:
            at -= 1
            continue
        cursor[at] += 1
        score[at + 1], paid[at + 1] = score[at] + least[own], paid[at] + prices[own]
        if score[at + 1] + paid[at + 1] + dear[at + 1] >= limit + ROUNDING:
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
