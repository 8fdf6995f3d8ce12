"""Places of all axes, chosen together: those that the array has room for.

Priced alone, places are spread as mixtures that fill an array with shares of places, which no nest
can have. Here what an axis costs at least with so many places is known for each number of them, and
the sets that fit the array and stay below a limit are gone through; most structures have hundreds.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent
from hwsim.search.outer import BIG, Scratch
from hwsim.search.pool import Pool
from hwsim.search.problem import Form, Numbers
from hwsim.search.scores import score_all
from hwsim.search.sift import Sets
from hwsim.search.tables import Tables

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Sets that are listed, and sets that are tried, at most.
LISTED, TRIED = 4096, 1_000_000


def packings(n: Numbers, f: Form, t: Tables, p: Pool, a: Ascent, s: Scratch, limit: float) -> Sets:
    """All sets of places below `limit`; the first bound is -BIG where there are more than are
    listed."""
    score_all(n, f, t, p, a.weights._replace(places=np.zeros(2)), s)
    const = a.const[0] + a.weights.places @ np.log((n.x, n.y))
    least = np.full(t.split_counts.size, BIG)
    np.minimum.at(least, p.spread, s.scores[: p.spread.size])
    return Sets(*listed(n, t, least, const, limit))


@compiled()
def _ordered(t: Tables, least: Floats) -> Any:
    """The places of each axis by their scores, the lowest first, and how many are possible."""
    order, counts = np.empty(least.size, np.int64), np.zeros(6, np.int64)
    for axis in range(6):
        a, b = t.starts[axis], t.starts[axis + 1]
        order[a:b] = a + np.argsort(least[a:b], kind="mergesort")
        for at in range(a, b):
            counts[axis] += least[at] < BIG / 2
    return order, counts


@compiled()
def listed(n: Numbers, t: Tables, least: Floats, const: float, limit: float) -> Any:
    """`packings` of places whose scores [spread] are known, `const` what adds to their sum."""
    order, counts = _ordered(t, least)
    bounds, count = np.empty(LISTED), 0
    spreads, splits = np.empty((LISTED, 6), np.int64), np.empty((LISTED, 6), np.int64)
    rest, score, cursor = np.zeros(7), np.zeros(7), np.zeros(6, np.int64)
    for axis in range(5, -1, -1):
        rest[axis] = rest[axis + 1] + least[order[t.starts[axis]]]
    most = min(n.x, n.y) + 1
    pairs, origin = np.ones((7, most, 2), np.int64), np.zeros((7, most, 2), np.int64)
    fits = np.ones(7, np.int64)
    score[0] = const
    at, tried = 0, 0
    while at >= 0:
        spread = order[min(t.starts[at] + cursor[at], t.starts[at + 1] - 1)]
        if cursor[at] == counts[at] or score[at] + least[spread] + rest[at + 1] >= limit:
            at -= 1
            continue
        cursor[at] += 1
        tried += 1
        fits[at + 1] = _joined(n, t, spread, pairs, origin, fits[at], at)
        if count == LISTED or tried >= TRIED:
            count = max(count, 1)
            bounds[count - 1] = -BIG
            break
        if fits[at + 1] == 0:
            continue
        score[at + 1], spreads[count, at] = score[at] + least[spread], spread
        if at < 5:
            at += 1
            cursor[at] = 0
            continue
        bounds[count] = score[6]
        _trace(origin, splits[count])
        count += 1
        if count < LISTED:
            spreads[count] = spreads[count - 1]
    ranked = np.argsort(bounds[:count], kind="mergesort")
    return bounds[:count][ranked], spreads[:count][ranked], splits[:count][ranked]


@compiled()
def _joined(
    n: Numbers, t: Tables, spread: int, pairs: Ints, origin: Ints, before: int, at: int
) -> Any:
    """Fills in the places along x and y that the first axes come to with those of one more, unless
    others need no more along both; how many there are."""
    count, now = 0, pairs[at + 1]
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
