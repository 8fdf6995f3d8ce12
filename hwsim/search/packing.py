"""Places of all axes, chosen together: those that the array has room for.

Priced alone, places are spread as mixtures that fill an array with shares of places, which no nest
can have. Here what an axis costs at least with so many places is known for each number of them, and
the sets that fit the array and stay below a limit are gone through; most structures have hundreds.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent
from hwsim.search.inner import SPLITS, Options
from hwsim.search.outer import BIG, Scratch
from hwsim.search.problem import Form, Numbers
from hwsim.search.scores import score_all
from hwsim.search.sift import Sets

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Sets that are listed, and sets that are tried, at most.
LISTED, TRIED = 4096, 1_000_000


class Spreads(NamedTuple):
    """The places that each axis may have: `least` [6, spread] scores, unpriced, `order` [6, spread]
    of these, the lowest first, so many `counts` [6]; `splits` [6, spread, SPLITS, 2] along x and y,
    so many `split_counts` [6, spread]."""

    least: Floats
    order: Ints
    counts: Ints
    splits: Ints
    split_counts: Ints


def packings(
    n: Numbers,
    f: Form,
    options: tuple[Options, ...],
    a: Ascent,
    scratch: tuple[Scratch, ...],
    limit: float,
) -> Sets:
    """All sets of places below `limit`; the first bound is -BIG where there are more than are
    listed."""
    score_all(n, f, options, a.weights._replace(places=np.zeros(2)), scratch)
    const = a.const[0] + a.weights.places @ np.log((n.x, n.y))
    return Sets(*listed(n, _spreads(options, scratch), const, limit))


def _spreads(options: tuple[Options, ...], scratch: tuple[Scratch, ...]) -> Spreads:
    """The places that each axis may have, by the scores of its options."""
    most = max(own.ends.shape[0] for own in options)
    least = np.full((6, most), BIG)
    splits, split_counts = np.ones((6, most, SPLITS, 2), np.int64), np.zeros((6, most), np.int64)
    for axis, (own, room) in enumerate(zip(options, scratch, strict=True)):
        np.minimum.at(least[axis], own.spread, room.scores[: own.key.size])
        splits[axis, : len(own.splits)], split_counts[axis, : len(own.splits)] = (
            own.splits,
            own.split_counts,
        )
    order = np.argsort(least, axis=1, kind="stable")
    return Spreads(least, order, (least < BIG / 2).sum(axis=1), splits, split_counts)


@compiled()
def listed(n: Numbers, own: Spreads, const: float, limit: float) -> Any:
    """`packings` of places whose scores are known, `const` what adds to their sum."""
    least, order = own.least, own.order
    bounds, count = np.empty(LISTED), 0
    spreads, splits = np.empty((LISTED, 6), np.int64), np.empty((LISTED, 6), np.int64)
    rest, score, cursor = np.zeros(7), np.zeros(7), np.zeros(6, np.int64)
    for axis in range(5, -1, -1):
        rest[axis] = rest[axis + 1] + least[axis, order[axis, 0]]
    most = min(n.x, n.y) + 1
    pairs, origin = np.ones((7, most, 2), np.int64), np.zeros((7, most, 2), np.int64)
    fits = np.ones(7, np.int64)
    score[0] = const
    at, tried = 0, 0
    while at >= 0:
        c = cursor[at]
        if c == own.counts[at] or score[at] + least[at, order[at, c]] + rest[at + 1] >= limit:
            at -= 1
            continue
        cursor[at] += 1
        tried += 1
        spread = order[at, c]
        fits[at + 1] = _joined(n, own, spread, pairs, origin, fits[at], at)
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
def _joined(
    n: Numbers, own: Spreads, spread: int, pairs: Ints, origin: Ints, before: int, at: int
) -> Any:
    """Fills in the places along x and y that the first axes come to with those of one more, unless
    others need no more along both; how many there are."""
    count, now = 0, pairs[at + 1]
    for p in range(before):
        for s in range(own.split_counts[at, spread]):
            x, y = (
                pairs[at, p, 0] * own.splits[at, spread, s, 0],
                pairs[at, p, 1] * own.splits[at, spread, s, 1],
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
