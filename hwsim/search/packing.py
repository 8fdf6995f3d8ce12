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
from hwsim.search.narrow import ROUNDING
from hwsim.search.outer import BIG, Scratch
from hwsim.search.pool import Pool
from hwsim.search.problem import Form, Numbers
from hwsim.search.scores import score_all
from hwsim.search.sets import ON_ARRAY, Sets, is_parted, least_scores
from hwsim.search.tables import Tables, tile_counts

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
    bounds, classes, splits = listed(n, f, t, s, store, starts, least, const, limit)
    if bounds.size and bounds[0] == -BIG:
        return None
    return Sets(bounds, classes, splits, starts, store)


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
    """`packings` of classes whose scores are known, `const` what adds to their sum."""
    order, counts = _ordered(starts, least)
    bounds, count = np.empty(LISTED), 0
    classes, splits = np.empty((LISTED, 6), np.int64), np.zeros((LISTED, 6), np.int64)
    rest, score, cursor = np.zeros(7), np.zeros(7), np.zeros(6, np.int64)
    for axis in range(5, -1, -1):
        rest[axis] = rest[axis + 1] + least[order[starts[axis]]]
    most = min(n.x, n.y) + 1
    pairs, origin = np.ones((7, most, 2), np.int64), np.zeros((7, most, 2), np.int64)
    fits, filled = np.ones(7, np.int64), np.zeros(7)
    room = _room(n, f, t, s, store) if store != ON_ARRAY else 0.0
    score[0] = const
    at, tried = 0, 0
    while at >= 0:
        own = order[min(starts[at] + cursor[at], starts[at + 1] - 1)]
        if cursor[at] == counts[at] or score[at] + least[own] + rest[at + 1] >= limit:
            at -= 1
            continue
        cursor[at] += 1
        tried += 1
        if store == ON_ARRAY:
            fits[at + 1] = _joined(n, t, own, pairs, origin, fits[at], at)
        else:
            filled[at + 1] = filled[at] + _share(n, f, t, s, store, starts, at, own)
            fits[at + 1] = filled[at + 1] <= room
        if count == LISTED or tried >= TRIED:
            count = max(count, 1)
            bounds[count - 1] = -BIG
            break
        if fits[at + 1] == 0:
            continue
        score[at + 1], classes[count, at] = score[at] + least[own], own
        if at < 5:
            at += 1
            cursor[at] = 0
            continue
        bounds[count] = score[6]
        if store == ON_ARRAY:
            _trace(origin, splits[count])
        count += 1
        if count < LISTED:
            classes[count] = classes[count - 1]
    ranked = np.argsort(bounds[:count], kind="mergesort")
    return bounds[:count][ranked], classes[:count][ranked], splits[:count][ranked]


@compiled(allocates=False)
def _share(
    n: Numbers, f: Form, t: Tables, s: Scratch, store: int, starts: Ints, axis: int, own: int
) -> Any:
    """The logarithm of the least that an axis contributes to a tile at a store with a class."""
    if not is_parted(starts, axis):
        return _least_tile(n, f, t, s, axis, store)
    key = own - starts[axis]
    return t.shares[axis, f.tensors[store], key // n.wide, key % n.wide]


@compiled()
def _room(n: Numbers, f: Form, t: Tables, s: Scratch, store: int) -> Any:
    """The logarithm of the elements that a memory has room for at a store, beside the least that
    other stores above the array keep in it."""
    memory = f.memory[store]
    if memory < 0:
        return BIG
    room = n.room[memory]
    for k in range(f.tensors.size):
        if k != store and f.memory[k] == memory:
            tile = 0.0
            for axis in range(6):
                tile += _least_tile(n, f, t, s, axis, k)
            room -= f.bits[k] * np.exp(tile)
    return np.log(max(room, ROUNDING) / f.bits[store]) + ROUNDING


@compiled(allocates=False)
def _least_tile(n: Numbers, f: Form, t: Tables, s: Scratch, axis: int, k: int) -> Any:
    """The logarithm of the least that an axis contributes to a tile at a store."""
    least = BIG
    c0, c1 = tile_counts(n, axis)
    for i in range(c0):
        for j in range(c1):
            if s.best[axis, k + 1, i, j] < BIG / 2:
                least = min(least, t.shares[axis, f.tensors[k], i, j])
    return least


@compiled()
def _joined(
    n: Numbers, t: Tables, spread: int, pairs: Ints, origin: Ints, before: int, at: int
) -> Any:
    """Fills in the places along x and y that the first axes come to with those of one more, unless
    others need no more along both; how many there are."""
    count, now = 0, pairs[at + 1]
    if t.split_counts[spread] == 1 and t.splits[spread, 0].max() == 1:
        for p in range(before):
            now[p], origin[at + 1, p, 0], origin[at + 1, p, 1] = pairs[at, p], p, 0
        return before
    for p in range(before):
        for s in range(t.split_counts[spread]):
            x, y = (
                pairs[at, p, 0] * t.splits[spread, s, 0],
                pairs[at, p, 1] * t.splits[spread, s, 1],
            )
            if x > n.x or y > n.y:
                continue
            beaten = False
            for q in range(count):
                beaten |= now[q, 0] <= x and now[q, 1] <= y
            if beaten:
                continue
            kept = 0
            for q in range(count):
                if not (now[q, 0] >= x and now[q, 1] >= y):
                    now[kept], origin[at + 1, kept] = now[q], origin[at + 1, q]
                    kept += 1
            now[kept, 0], now[kept, 1] = x, y
            origin[at + 1, kept, 0], origin[at + 1, kept, 1] = p, s
            count = kept + 1
    return count


@compiled(allocates=False)
def _trace(origin: Ints, splits: Ints) -> None:
    """The splits that the first of the sums of all axes comes from."""
    pair = 0
    for axis in range(5, -1, -1):
        splits[axis] = origin[axis + 1, pair, 1]
        pair = origin[axis + 1, pair, 0]
