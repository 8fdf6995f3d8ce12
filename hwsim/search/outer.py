"""The tiles of an axis above the array: the cheapest chain to every tile."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.extents import rows, slides_over, tile_share
from hwsim.search.problem import FIRSTS, LEADS, OUTER, RISEN, Form, Numbers
from hwsim.search.ways import IFMAP, tiles_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Pair = tuple[int, int]
BIG = 1e300


class Scratch(NamedTuple):
    """Room for what an axis comes to at given weights, and tables of its tiles.

    `scores` [option]: the least with each; `best` [store + 1, tile, tile]: the least cost of stores
    before one, by the tiles at the last of them; `back` likewise: the number i * most + j of the
    tiles before; `rests` [key] and `spreads` [spread]: the least of the stores above the array, and
    of places. `times` [tensor, tile, tile]: logarithms of how often such tiles are sent, unless the
    ifmap slides, and `shares` likewise of what the axis contributes to their elements; `counts`
    [tile, tile]: logarithms of how many tiles there are. `overlaps`
    [2, tile of the other dimension]: whether ifmap tiles share rows as they slide along either one.
    """

    scores: Floats
    best: Floats
    back: Ints
    rests: Floats
    spreads: Floats
    times: Floats
    shares: Floats
    counts: Floats
    overlaps: Flags


@compiled()
def scratch_of(n: Numbers, axis: int, options: int, keys: int, spreads: int) -> Scratch:
    """Room for an axis of so many options, keys and spreads at most."""
    d, e = n.first[axis], n.second[axis]
    c0, c1 = n.counts[d], n.counts[e] if e >= 0 else 1
    times, shares, counts = np.zeros((3, c0, c1)), np.zeros((3, c0, c1)), np.zeros((c0, c1))
    for t in range(3):
        for i in range(c0):
            for j in range(c1):
                a, b = n.sizes[d, i], n.sizes[e, j] if e >= 0 else 1
                counts[i, j] = np.log(tiles_of(n.bounds[d], a))
                if e >= 0:
                    counts[i, j] += np.log(tiles_of(n.bounds[e], b))
                times[t, i, j] = _times(n, axis, t, a, b)
                shares[t, i, j] = np.log(tile_share(n, t, axis, a, b))
    overlaps = np.zeros((2, max(c0, c1)), np.bool_)
    if axis < 2:
        for j in range(c1):
            overlaps[0, j] = slides_over(n, axis, 0, n.sizes[e, j])
        for i in range(c0):
            overlaps[1, i] = slides_over(n, axis, 1, n.sizes[d, i])
    return Scratch(
        np.zeros(options),
        np.zeros((OUTER + 1, c0, c1)),
        np.zeros((OUTER + 1, c0, c1), np.int64),
        np.zeros(keys),
        np.zeros(spreads),
        times,
        shares,
        counts,
        overlaps,
    )


@compiled(allocates=False)
def _times(n: Numbers, axis: int, t: int, a: int, b: int) -> Any:
    """The logarithm of how often tiles are sent."""
    d, e = n.first[axis], n.second[axis]
    u = tiles_of(n.bounds[d], a)
    v = tiles_of(n.bounds[e], b) if e >= 0 else 1
    if axis < 2 and t == IFMAP:
        return rows(n, axis, u, v)
    found = 0.0
    if n.lacks[t, d]:
        found += np.log(u)
    if e >= 0 and n.lacks[t, e]:
        found += np.log(v)
    return found


@compiled(allocates=False)
def visits(f: Form, axis: int, k: int, own: Scratch, before: Pair, at: Pair) -> Any:
    """The logarithm of how often tiles of numbers `at` are sent to store k, tiles `before` it."""
    t, (u, v), (i, j) = f.tensors[k], before, at
    found = own.times[t, i, j]
    if f.slides[k] == axis:
        if u < i and own.overlaps[0, j]:
            found = min(found, own.times[t, u, j])
        if v < j and own.overlaps[1, i]:
            found = min(found, own.times[t, i, v])
    return found


@compiled(allocates=False)
def visit_weight(f: Form, axis: int, k: int, theta: Floats) -> Any:
    """The weight of visits to store k: a pad that rose has them in the sum over places too."""
    if k == f.risen and not (axis < 2 and f.tensors[k] == IFMAP):
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
    n: Numbers, f: Form, axis: int, theta: Floats, lam: Floats, barred: Flags, own: Scratch
) -> None:
    """Fills in `own.best` and `own.back`, leaving out tiles that are barred [store, tile, tile]."""
    d, e = n.first[axis], n.second[axis]
    best, back = own.best, own.back
    best[0] = BIG
    best[0, 0, 0] = 0.0
    for k in range(f.tensors.size):
        free0, free1 = f.masks[k, d], e >= 0 and f.masks[k, e]
        weight, price = visit_weight(f, axis, k, theta), tile_weight(f, k, theta, lam)
        if f.slides[k] == axis:
            _slide(f, axis, k, weight, own, free0, free1)
        else:
            _fall(best[k], best[k + 1], back[k + 1], free0, free1)
            _add(best[k + 1], weight, own.times[f.tensors[k]])
        if price > 0:
            _add(best[k + 1], price, own.shares[f.tensors[k]])
        if k == f.starts:
            _add(best[k + 1], start_weight(f, k, theta), own.counts)
        _bar(best[k + 1], barred[k])


@compiled(allocates=False)
def _add(costs: Floats, weight: float, logs: Floats) -> None:
    for i in range(costs.shape[0]):
        for j in range(costs.shape[1]):
            costs[i, j] += weight * logs[i, j]


@compiled(allocates=False)
def _bar(costs: Floats, barred: Flags) -> None:
    for i in range(costs.shape[0]):
        for j in range(costs.shape[1]):
            if barred[i, j]:
                costs[i, j] = BIG


@compiled(allocates=False)
def _fall(before: Floats, after: Floats, back: Ints, free0: bool, free1: bool) -> None:
    """The best of all larger tiles, where tiles may fall."""
    most = after.shape[1]
    for i in range(after.shape[0]):
        for j in range(most):
            after[i, j], back[i, j] = before[i, j], i * most + j
            if free0 and i and after[i - 1, j] < after[i, j]:
                after[i, j], back[i, j] = after[i - 1, j], back[i - 1, j]
            if free1 and j and after[i, j - 1] < after[i, j]:
                after[i, j], back[i, j] = after[i, j - 1], back[i, j - 1]


@compiled(allocates=False)
def _slide(
    f: Form, axis: int, k: int, weight: float, own: Scratch, free0: bool, free1: bool
) -> None:
    """The same at a store at which the ifmap slides, whose words depend on the tiles before."""
    before, after, back, most = own.best[k], own.best[k + 1], own.back[k + 1], own.best.shape[2]
    for i in range(after.shape[0]):
        for j in range(most):
            after[i, j] = BIG
            for u in range(0 if free0 else i, i + 1):
                for v in range(0 if free1 else j, j + 1):
                    if before[u, v] < BIG:
                        cost = before[u, v] + weight * visits(f, axis, k, own, (u, v), (i, j))
                        if cost < after[i, j]:
                            after[i, j], back[i, j] = cost, u * most + v
