"""The best option of every axis, and tiles above the array, at given weights and prices."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hwsim.search.inner import IFMAP, SHARES, Options, tile_share
from hwsim.search.outer import BIG, cheapest, visits
from hwsim.search.problem import OUTER, RISEN, Form, Numbers

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Weights(NamedTuple):
    """Weights of monomials, prices of tiles and of places, in the logarithms, and `busy`, weights
    of resources that sum to one."""

    theta: Floats
    tiles: Floats
    places: Floats
    busy: Floats


class Scratch(NamedTuple):
    """Room for what an axis comes to at given weights.

    `scores` [option]: the least with each; `best`, `back` [store + 1, tile, tile]: of the tiles
    above the array (`outer.cheapest`); `rests` [key] and `spreads` [spread]: the least of the
    stores above the array, and of places.
    """

    scores: Floats
    best: Floats
    back: Ints
    rests: Floats
    spreads: Floats


@njit(cache=True)
def axis_best(
    n: Numbers,
    f: Form,
    axis: int,
    o: Options,
    w: Weights,
    scratch: Scratch,
    logs: Floats,
    tiles: Floats,
    places: Floats,
) -> Any:
    """The least score of an axis; its option's logarithms are added to the last three.

    `scratch.scores` [option] then has the least score with each option."""
    if o.key.size == 0:
        return BIG
    cheapest(n, f, axis, w.theta, w.tiles, scratch.best, scratch.back)
    _rests(n, f, axis, o, scratch.best[f.tensors.size], scratch.rests)
    _spreads(o, w, scratch.spreads)
    _score(o, w, scratch)
    pick = int(np.argmin(scratch.scores))
    if scratch.scores[pick] < BIG / 2:
        _take_within(o, w, scratch, pick, logs, tiles, places)
        _take_above(n, f, axis, o, scratch, pick, logs, tiles)
    return scratch.scores[pick]


@njit(cache=True)
def _rests(n: Numbers, f: Form, axis: int, o: Options, best: Floats, rests: Floats) -> None:
    """The least cost of the stores above the array for each key."""
    for key in range(o.keys.shape[0]):
        rests[key] = _last_tiles(n, f, axis, o.keys[key], best)[0]


@njit(cache=True)
def _last_tiles(n: Numbers, f: Form, axis: int, key: Ints, best: Floats) -> Any:
    """The least of `best` [tile, tile] over the tiles above the array of a key, and their
    numbers."""
    d, e = n.first[axis], n.second[axis]
    last = f.tensors.size
    free0, free1 = f.masks[last, d], e >= 0 and f.masks[last, e]
    lo0, hi0, lo1, hi1 = key
    least, pi, pj = BIG, 0, 0
    for i in range(0 if free0 else lo0, hi0):
        for j in range(0 if free1 else lo1, hi1):
            if best[i, j] < least:
                least, pi, pj = best[i, j], i, j
    return least, pi, pj


@njit(cache=True)
def _spreads(o: Options, w: Weights, spreads: Floats) -> None:
    """The least price of the places of each spread."""
    for at in range(o.split_counts.size):
        least = BIG
        for k in range(o.split_counts[at]):
            x, y = o.splits[at, k]
            least = min(least, w.places[0] * np.log(x) + w.places[1] * np.log(y))
        spreads[at] = least


@njit(cache=True)
def _score(o: Options, w: Weights, scratch: Scratch) -> None:
    """The least score with each option."""
    scores = scratch.scores
    for i in range(o.key.size):
        scores[i] = scratch.rests[o.key[i]] + scratch.spreads[o.spread[i]]
    for c in range(o.columns.size):
        k = o.columns[c]
        weight = w.theta[OUTER + k] if k < SHARES else w.tiles[OUTER + k - SHARES]
        if weight > 0:
            row = o.features[c]
            for i in range(row.size):
                scores[i] += weight * row[i]


@njit(cache=True)
def _take_within(
    o: Options,
    w: Weights,
    scratch: Scratch,
    pick: int,
    logs: Floats,
    tiles: Floats,
    places: Floats,
) -> None:
    """Adds what an option takes from the array inwards, on its cheapest places."""
    for c in range(o.columns.size):
        k = o.columns[c]
        if k < SHARES:
            logs[OUTER + k] += o.features[c, pick]
        else:
            tiles[OUTER + k - SHARES] += o.features[c, pick]
    at = o.spread[pick]
    for k in range(o.split_counts[at]):
        x, y = o.splits[at, k]
        if w.places[0] * np.log(x) + w.places[1] * np.log(y) <= scratch.spreads[at]:
            places[0] += np.log(x)
            places[1] += np.log(y)
            break


@njit(cache=True)
def _take_above(
    n: Numbers,
    f: Form,
    axis: int,
    o: Options,
    scratch: Scratch,
    pick: int,
    logs: Floats,
    tiles: Floats,
) -> None:
    """Adds what the cheapest tiles above the array take that an option goes with."""
    d, e = n.first[axis], n.second[axis]
    stores, most = f.tensors.size, scratch.best.shape[2]
    _, pi, pj = _last_tiles(n, f, axis, o.keys[o.key[pick]], scratch.best[stores])
    for k in range(stores - 1, -1, -1):
        b = n.sizes[d, pi], n.sizes[e, pj] if e >= 0 else 1
        code = scratch.back[k + 1, pi, pj]
        pi, pj = code // most, code % most
        a = n.sizes[d, pi], n.sizes[e, pj] if e >= 0 else 1
        seen = visits(n, f, axis, k, a, b)
        logs[k] += seen
        if k != f.risen:
            tiles[k] += np.log(tile_share(n, f.tensors[k], axis, b[0], b[1]))
        elif not (axis < 2 and f.tensors[k] == IFMAP):
            logs[RISEN] += seen


@njit(cache=True)
def price_all(
    n: Numbers,
    f: Form,
    options: tuple[Options, ...],
    w: Weights,
    scratch: tuple[Scratch, ...],
    logs: Floats,
    tiles: Floats,
    places: Floats,
) -> Any:
    """The sum of the axes' least scores; what the best options take is put into the last three,
    [MONOMIALS], [TILES] and [2]."""
    logs[:], tiles[:], places[:] = 0.0, 0.0, 0.0
    total = 0.0
    for axis in range(6):
        least = axis_best(n, f, axis, options[axis], w, scratch[axis], logs, tiles, places)
        if least >= BIG / 2:
            return BIG
        total += least
    return total


@njit(cache=True)
def narrowed(o: Options, scores: Floats, most: float) -> Options:
    """The options whose scores are within `most` of the least."""
    keep = np.nonzero(scores[: o.key.size] <= scores[: o.key.size].min() + most)[0]
    features = np.empty((o.columns.size, keep.size))
    for c in range(o.columns.size):
        features[c] = o.features[c][keep]
    return Options(
        features,
        o.columns,
        o.ways[keep],
        o.spread[keep],
        o.splits,
        o.split_counts,
        o.key[keep],
        o.keys,
    )
