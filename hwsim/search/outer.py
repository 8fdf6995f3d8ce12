"""The tiles of an axis above the array: the cheapest chain to every tile, and chains one by one."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hwsim.search.inner import IFMAP, rows, tile_share, tiles_of
from hwsim.search.problem import RISEN, Form, Numbers

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Pair = tuple[int, int]
BIG = 1e300


@njit(cache=True)
def store_cost(
    n: Numbers, f: Form, axis: int, k: int, a: Pair, b: Pair, theta: Floats, lam: Floats
) -> Any:
    """Weighted logarithms of what tiles b = (first, second) at store k take, tiles a before."""
    t = f.tensors[k]
    weight = theta[k]
    if k == f.risen and not (axis < 2 and t == IFMAP):
        weight += theta[RISEN]
    cost = weight * visits(n, f, axis, k, a, b)
    if k != f.risen:
        cost += lam[k] * np.log(tile_share(n, t, axis, b[0], b[1]))
    return cost


@njit(cache=True)
def visits(n: Numbers, f: Form, axis: int, k: int, a: Pair, b: Pair) -> Any:
    """The logarithm of how often tiles b are sent to store k, tiles a before."""
    t, d, e = f.tensors[k], n.first[axis], n.second[axis]
    u = tiles_of(n.bounds[d], b[0])
    v = tiles_of(n.bounds[e], b[1]) if e >= 0 else 1
    if axis < 2 and t == IFMAP:
        found = rows(n, axis, u, v)
        if f.slides[k] == axis:
            if a[0] > b[0]:
                found = min(found, rows(n, axis, tiles_of(n.bounds[d], a[0]), v))
            if a[1] > b[1]:
                found = min(found, rows(n, axis, u, tiles_of(n.bounds[e], a[1])))
        return found
    found = 0.0
    if n.lacks[t, d]:
        found += np.log(u)
    if e >= 0 and n.lacks[t, e]:
        found += np.log(v)
    return found


@njit(cache=True)
def cheapest(
    n: Numbers, f: Form, axis: int, theta: Floats, lam: Floats, best: Floats, back: Ints
) -> None:
    """Fills best[k, i, j]: the least cost of stores before k, tiles number (i, j) at the last of
    them; back [k, i, j]: the number i * most + j of the tiles before."""
    d, e = n.first[axis], n.second[axis]
    c0, c1 = n.counts[d], n.counts[e] if e >= 0 else 1
    best[0, :c0, :c1] = BIG
    best[0, 0, 0] = 0.0
    for k in range(f.tensors.size):
        free0, free1 = f.masks[k, d], e >= 0 and f.masks[k, e]
        slides = axis < 2 and f.tensors[k] == IFMAP and f.slides[k] == axis
        if slides:
            _slide(n, f, axis, k, theta, lam, best, back)
        else:
            _fall(best[k], best[k + 1], back[k + 1], c0, c1, free0, free1)
            for i in range(c0):
                for j in range(c1):
                    if best[k + 1, i, j] < BIG:
                        b = n.sizes[d, i], n.sizes[e, j] if e >= 0 else 1
                        best[k + 1, i, j] += store_cost(n, f, axis, k, b, b, theta, lam)


@njit(cache=True)
def _fall(
    before: Floats, after: Floats, back: Ints, c0: int, c1: int, free0: bool, free1: bool
) -> None:
    """The best of all larger tiles, where tiles may fall."""
    most = after.shape[1]
    for i in range(c0):
        for j in range(c1):
            after[i, j], back[i, j] = before[i, j], i * most + j
            if free0 and i and after[i - 1, j] < after[i, j]:
                after[i, j], back[i, j] = after[i - 1, j], back[i - 1, j]
            if free1 and j and after[i, j - 1] < after[i, j]:
                after[i, j], back[i, j] = after[i, j - 1], back[i, j - 1]


@njit(cache=True)
def _slide(
    n: Numbers, f: Form, axis: int, k: int, theta: Floats, lam: Floats, best: Floats, back: Ints
) -> None:
    """The same at a store at which the ifmap slides, whose words depend on the tiles before."""
    d, e = n.first[axis], n.second[axis]
    free0, free1, most = f.masks[k, d], f.masks[k, e], best.shape[2]
    for i in range(n.counts[d]):
        for j in range(n.counts[e]):
            best[k + 1, i, j] = BIG
            b = n.sizes[d, i], n.sizes[e, j]
            for u in range(0 if free0 else i, i + 1):
                for v in range(0 if free1 else j, j + 1):
                    if best[k, u, v] < BIG:
                        a = n.sizes[d, u], n.sizes[e, v]
                        cost = best[k, u, v] + store_cost(n, f, axis, k, a, b, theta, lam)
                        if cost < best[k + 1, i, j]:
                            best[k + 1, i, j], back[k + 1, i, j] = cost, u * most + v
