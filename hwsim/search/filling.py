"""What the first axes of a set fill: the array with places, or a memory with their tiles."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.narrow import ROUNDING
from hwsim.search.outer import BIG, Scratch
from hwsim.search.problem import Form, Numbers
from hwsim.search.sets import ON_ARRAY, is_parted
from hwsim.search.tables import Tables, tile_counts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Filled(NamedTuple):
    """What so many axes come to: `pairs` [axes, pair, 2] of places along x and y, of which `counts`
    [axes], none needing as many as another along both, and `origin` [axes, pair, 2] the pair of the
    axes before and the split that each comes from; `tiles` [axes]: the logarithm of their tile."""

    pairs: Ints
    origin: Ints
    counts: Ints
    tiles: Floats


@compiled()
def nothing(n: Numbers) -> Filled:
    """What no axes come to, and room for others."""
    most = min(n.x, n.y) + 1
    pairs, origin = np.ones((7, most, 2), np.int64), np.zeros((7, most, 2), np.int64)
    return Filled(pairs, origin, np.ones(7, np.int64), np.zeros(7))


@compiled()
def fits(
    n: Numbers,
    f: Form,
    t: Tables,
    s: Scratch,
    store: int,
    starts: Ints,
    room: float,
    x: Filled,
    at: int,
    own: int,
) -> Any:
    """Fills in what the first axes come to with a class of one more; whether there is room."""
    if store == ON_ARRAY:
        x.counts[at + 1] = _joined(n, t, x, at, own)
        return x.counts[at + 1] > 0
    x.tiles[at + 1] = x.tiles[at] + _share(n, f, t, s, store, starts, at, own)
    return x.tiles[at + 1] <= room


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
def room_at(n: Numbers, f: Form, t: Tables, s: Scratch, store: int) -> Any:
    """The logarithm of the elements that a memory has room for at a store, beside the least that
    other stores above the array keep in it."""
    memory = -1 if store == ON_ARRAY else f.memory[store]
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
def _joined(n: Numbers, t: Tables, x: Filled, at: int, spread: int) -> Any:
    """Fills in the places along x and y that the first axes come to with those of one more, unless
    others need no more along both; how many there are."""
    pairs, origin, before = x.pairs, x.origin, x.counts[at]
    count, now = 0, pairs[at + 1]
    if t.split_counts[spread] == 1 and t.splits[spread, 0].max() == 1:
        for p in range(before):
            now[p], origin[at + 1, p, 0], origin[at + 1, p, 1] = pairs[at, p], p, 0
        return before
    for p in range(before):
        for s in range(t.split_counts[spread]):
            a = pairs[at, p, 0] * t.splits[spread, s, 0]
            b = pairs[at, p, 1] * t.splits[spread, s, 1]
            if a > n.x or b > n.y:
                continue
            beaten = False
            for q in range(count):
                beaten |= now[q, 0] <= a and now[q, 1] <= b
            if beaten:
                continue
            kept = 0
            for q in range(count):
                if not (now[q, 0] >= a and now[q, 1] >= b):
                    now[kept], origin[at + 1, kept] = now[q], origin[at + 1, q]
                    kept += 1
            now[kept, 0], now[kept, 1] = a, b
            origin[at + 1, kept, 0], origin[at + 1, kept, 1] = p, s
            count = kept + 1
    return count


@compiled(allocates=False)
def trace(x: Filled, splits: Ints) -> None:
    """The splits that the first pair of all axes comes from."""
    pair = 0
    for axis in range(5, -1, -1):
        splits[axis] = x.origin[axis + 1, pair, 1]
        pair = x.origin[axis + 1, pair, 0]
