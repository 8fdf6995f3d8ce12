"""The tiles of an axis above the array: the cheapest chain to every tile."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.problem import FIRSTS, LEADS, OUTER, RISEN, Form, Numbers
from hwsim.search.tables import Tables, tile_counts
from hwsim.search.ways import IFMAP

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Pair = tuple[int, int]
BIG = 1e300


class Scratch(NamedTuple):
    """Room for what all axes come to at given weights.

    `scores` [option]: the least with each; `best` [axis, store + 1, tile, tile]: the least cost of
    stores before one, by the tiles at the last of them, and after the last store by those above the
    array; `back` likewise: the number i * wide + j of the tiles before; `rests` [axis, key]: the
    least of what is above the array, and `spreads` [spread]: of places.
    """

    scores: Floats
    best: Floats
    back: Ints
    rests: Floats
    spreads: Floats


def scratch(n: Numbers, t: Tables, options: int) -> Scratch:
    """Room for so many options of all axes at most."""
    shape = 6, OUTER + 2, *t.counts.shape[1:]
    return Scratch(
        np.zeros(options),
        np.zeros(shape),
        np.zeros(shape, np.int64),
        np.zeros((6, t.counts[0].size)),
        np.zeros(t.split_counts.size),
    )


@compiled(allocates=False)
def visits(f: Form, t: Tables, axis: int, k: int, before: Pair, at: Pair) -> Any:
    """The logarithm of how often tiles of numbers `at` are sent to store k, tiles `before` it."""
    times, (u, v), (i, j) = t.times[axis, f.tensors[k]], before, at
    found = times[i, j]
    if f.slides[k] == axis:
        if u < i and t.overlaps[axis, 0, j]:
            found = min(found, times[u, j])
        if v < j and t.overlaps[axis, 1, i]:
            found = min(found, times[i, v])
    return found


@compiled(allocates=False)
def is_twice(f: Form, axis: int) -> Any:
    """Whether visits to a pad that rose count in the sum over places too."""
    return f.risen >= 0 and not (axis < 2 and f.tensors[f.risen] == IFMAP)


@compiled(allocates=False)
def visit_weight(f: Form, axis: int, k: int, theta: Floats) -> Any:
    """The weight of visits to store k: a pad that rose has them in the sum over places too."""
    if k == f.risen and is_twice(f, axis):
        return theta[k] + theta[RISEN]
    return theta[k]


@compiled(allocates=False)
def start_weight(f: Form, k: int, theta: Floats) -> Any:
    """The weight of how many tiles store k has: of the starts with each, that all pads wait for."""
    found = 0.0
    if k == f.starts:
        for t in range(3):
            found += theta[LEADS + t]
    return found


@compiled(allocates=False)
def tile_weight(f: Form, k: int, theta: Floats, prices: Floats) -> Any:
    """The weight of the elements of store k's tiles: of room, and of the wait for the first."""
    return 0.0 if k == f.risen else theta[FIRSTS + k] + prices[k]


@compiled(allocates=False)
def cheapest(
    n: Numbers,
    f: Form,
    t: Tables,
    axis: int,
    theta: Floats,
    lam: Floats,
    barred: Flags,
    s: Scratch,
) -> None:
    """Fills in `best` and `back` of an axis, and `rests`, leaving out tiles that are barred [store,
    tile, tile]."""
    d, e, stores = n.first[axis], n.second[axis], f.tensors.size
    shape, best, back = tile_counts(n, axis), s.best[axis], s.back[axis]
    best[0] = BIG
    best[0, 0, 0] = 0.0
    for k in range(stores):
        free = f.masks[k, d], e >= 0 and f.masks[k, e]
        weight, price = visit_weight(f, axis, k, theta), tile_weight(f, k, theta, lam)
        if f.slides[k] == axis:
            _slide(f, t, axis, k, weight, best, back[k + 1], shape, free)
        else:
            _fall(best[k], best[k + 1], back[k + 1], shape, free)
            _add(best[k + 1], weight, t.times[axis, f.tensors[k]], shape)
        if price > 0:
            _add(best[k + 1], price, t.shares[axis, f.tensors[k]], shape)
        if k == f.starts:
            _add(best[k + 1], start_weight(f, k, theta), t.counts[axis], shape)
        _bar(best[k + 1], barred[k], shape)
    free = f.masks[stores, d], e >= 0 and f.masks[stores, e]
    _fall(best[stores], best[stores + 1], back[stores + 1], shape, free)
    for i in range(shape[0]):
        for j in range(shape[1]):
            s.rests[axis, i * n.wide + j] = best[stores + 1, i, j]


@compiled(allocates=False)
def _add(costs: Floats, weight: float, logs: Floats, shape: Pair) -> None:
    for i in range(shape[0]):
        for j in range(shape[1]):
            costs[i, j] += weight * logs[i, j]


@compiled(allocates=False)
def _bar(costs: Floats, barred: Flags, shape: Pair) -> None:
    for i in range(shape[0]):
        for j in range(shape[1]):
            if barred[i, j]:
                costs[i, j] = BIG


@compiled(allocates=False)
def _fall(before: Floats, after: Floats, back: Ints, shape: Pair, free: tuple[bool, bool]) -> None:
    """The best of all larger tiles, where tiles may fall."""
    wide = after.shape[1]
    for i in range(shape[0]):
        for j in range(shape[1]):
            after[i, j], back[i, j] = before[i, j], i * wide + j
            if free[0] and i and after[i - 1, j] < after[i, j]:
                after[i, j], back[i, j] = after[i - 1, j], back[i - 1, j]
            if free[1] and j and after[i, j - 1] < after[i, j]:
                after[i, j], back[i, j] = after[i, j - 1], back[i, j - 1]


@compiled(allocates=False)
def _slide(
    f: Form,
    t: Tables,
    axis: int,
    k: int,
    weight: float,
    best: Floats,
    back: Ints,
    shape: Pair,
    free: tuple[bool, bool],
) -> None:
    """The same at a store at which the ifmap slides, whose words depend on the tiles before."""
    before, after = best[k], best[k + 1]
    for i in range(shape[0]):
        for j in range(shape[1]):
            after[i, j] = BIG
            for u in range(0 if free[0] else i, i + 1):
                for v in range(0 if free[1] else j, j + 1):
                    if before[u, v] < BIG:
                        cost = before[u, v] + weight * visits(f, t, axis, k, (u, v), (i, j))
                        if cost < after[i, j]:
                            after[i, j], back[i, j] = cost, u * after.shape[1] + v
