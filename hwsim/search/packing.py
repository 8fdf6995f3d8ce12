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
from hwsim.search.inner import Options
from hwsim.search.outer import BIG, Scratch
from hwsim.search.problem import Form, Numbers
from hwsim.search.scores import Weights, score_all

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Sets that are listed, and sets that are tried, at most.
LISTED, TRIED = 4096, 1_000_000


@compiled()
def packings(
    n: Numbers,
    f: Form,
    options: tuple[Options, ...],
    a: Ascent,
    scratch: tuple[Scratch, ...],
    limit: float,
) -> Any:
    """(bounds [set], spreads [set, 6], splits [set, 6]) of all sets of places below `limit`; the
    last bound is -BIG where there are more than are listed."""
    bounds, count = np.empty(LISTED), 0
    spreads, splits = np.empty((LISTED, 6), np.int64), np.empty((LISTED, 6), np.int64)
    least, order, counts = _least(n, f, options, a, scratch)
    rest, score, cursor = np.zeros(7), np.zeros(7), np.zeros(6, np.int64)
    for axis in range(5, -1, -1):
        rest[axis] = rest[axis + 1] + least[axis, order[axis, 0]]
    most = min(n.x, n.y) + 1
    pairs, origin = np.ones((7, most, 2), np.int64), np.zeros((7, most, 2), np.int64)
    fits = np.ones(7, np.int64)
    score[0] = a.const[0] + a.weights.places[0] * np.log(n.x) + a.weights.places[1] * np.log(n.y)
    at, tried = 0, 0
    while at >= 0:
        c = cursor[at]
        if c == counts[at] or score[at] + least[at, order[at, c]] + rest[at + 1] >= limit:
            at -= 1
            continue
        cursor[at] += 1
        tried += 1
        spread = order[at, c]
        fits[at + 1] = _joined(n, options[at], spread, pairs, origin, fits[at], at)
        if count == LISTED or tried >= TRIED:
            count = max(count, 1)
            bounds[count - 1] = -BIG
            break
        if fits[at + 1] == 0:
            continue
        score[at + 1], spreads[count, at] = score[at] + least[at, spread], spread
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
def _least(
    n: Numbers, f: Form, options: tuple[Options, ...], a: Ascent, scratch: tuple[Scratch, ...]
) -> Any:
    """The least score of each axis by its places, unpriced [6, spread], spreads that are had, the
    lowest first [6, spread], and how many [6]."""
    free = Weights(a.weights.theta, a.weights.tiles, np.zeros(2), a.weights.busy)
    score_all(n, f, options, free, scratch)
    most = 0
    for axis in range(6):
        most = max(most, options[axis].ends.shape[0])
    least, order = np.full((6, most), BIG), np.zeros((6, most), np.int64)
    counts = np.zeros(6, np.int64)
    for axis in range(6):
        o, scores = options[axis], scratch[axis].scores
        for i in range(o.key.size):
            least[axis, o.spread[i]] = min(least[axis, o.spread[i]], scores[i])
        order[axis] = np.argsort(least[axis], kind="mergesort")
        counts[axis] = np.sum(least[axis] < BIG / 2)
    return least, order, counts


@compiled()
def _joined(
    n: Numbers, o: Options, spread: int, pairs: Ints, origin: Ints, before: int, at: int
) -> Any:
    """Fills in the places along x and y that the first axes come to with those of one more, unless
    others need no more along both; how many there are."""
    count, now = 0, pairs[at + 1]
    for p in range(before):
        for s in range(o.split_counts[spread]):
            x, y = (
                pairs[at, p, 0] * o.splits[spread, s, 0],
                pairs[at, p, 1] * o.splits[spread, s, 1],
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
