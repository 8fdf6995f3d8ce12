"""The best option of every axis, and tiles above the array, at given weights and prices."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.inner import SHARES, Options
from hwsim.search.outer import BIG, Scratch, cheapest, visits
from hwsim.search.problem import FIRSTS, LEADS, MONOMIALS, OUTER, RISEN, TILES, Form, Numbers
from hwsim.search.ways import IFMAP, WIDTH

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Columns of what an axis takes: logarithms of monomials, but that of a pad that rose holds what its
# option does to it and not the loops above; of tiles; of places along x and y.
PLACES = MONOMIALS + TILES
TAKEN = PLACES + 2
# What is written down of an axis of a nest: places along x and y, what both dimensions do within
# the array, and their tiles above it.
LEAF = 2 + 2 * WIDTH + 2 * (OUTER + 1)


class Weights(NamedTuple):
    """Weights of monomials, prices of tiles and of places, in the logarithms, and `busy`, weights
    of resources that sum to one."""

    theta: Floats
    tiles: Floats
    places: Floats
    busy: Floats


class Picks(NamedTuple):
    """The best options and chains: what they take [axis, TAKEN], and how they are written down
    [axis, LEAF]."""

    taken: Floats
    leaf: Ints


@compiled(allocates=False)
def axis_best(
    n: Numbers, f: Form, axis: int, o: Options, w: Weights, own: Scratch, picks: Picks
) -> Any:
    """The least score of an axis, and into `picks` what has it; `own.scores` [option] then has the
    least score with each option."""
    if o.key.size == 0:
        return BIG
    cheapest(n, f, axis, w.theta, w.tiles, o.barred, own)
    for key in range(o.keys.shape[0]):
        own.rests[key] = _last_tiles(n, f, axis, o.keys[key], own.best[f.tensors.size])[0]
    for at in range(o.ends.shape[0]):
        own.spreads[at] = _end(o.ends[at], w)[0]
    _score(o, w, own.scores, own.rests, own.spreads)
    pick = int(np.argmin(own.scores[: o.key.size]))
    if own.scores[pick] < BIG / 2:
        picks.taken[axis] = 0.0
        _take_within(o, w, pick, picks.taken[axis], picks.leaf[axis])
        _take_above(n, f, axis, o, own, pick, picks.taken[axis], picks.leaf[axis])
    return own.scores[pick]


@compiled(allocates=False)
def _last_tiles(n: Numbers, f: Form, axis: int, key: Ints, best: Floats) -> Any:
    """The least of `best` [tile, tile] over the tiles above the array of a key, and their
    numbers."""
    d, e = n.first[axis], n.second[axis]
    last = f.tensors.size
    free0, free1 = f.masks[last, d], e >= 0 and f.masks[last, e]
    least, pi, pj = BIG, 0, 0
    for i in range(0 if free0 else key[0], key[0] + 1):
        for j in range(0 if free1 else key[1], key[1] + 1):
            if best[i, j] < least:
                least, pi, pj = best[i, j], i, j
    return least, pi, pj


@compiled(allocates=False)
def _end(ends: Floats, w: Weights) -> Any:
    """The lower price of places that are longest along either axis, and which it is."""
    one = w.places[0] * ends[0, 0] + w.places[1] * ends[0, 1]
    other = w.places[0] * ends[1, 0] + w.places[1] * ends[1, 1]
    return (one, 0) if one <= other else (other, 1)


@compiled(allocates=False)
def _score(o: Options, w: Weights, scores: Floats, rests: Floats, spreads: Floats) -> None:
    """The least score with each option."""
    for i in range(o.key.size):
        scores[i] = rests[o.key[i]] + spreads[o.spread[i]]
    for c in range(o.columns.size):
        k = o.columns[c]
        weight = w.theta[OUTER + k] if k < SHARES else w.tiles[OUTER + k - SHARES]
        if weight > 0:
            row = o.features[c]
            for i in range(row.size):
                scores[i] += weight * row[i]


@compiled(allocates=False)
def column_of(feature: int) -> Any:
    """The column of TAKEN of an option's feature."""
    return OUTER + feature if feature < SHARES else MONOMIALS + OUTER + feature - SHARES


@compiled(allocates=False)
def _take_within(o: Options, w: Weights, pick: int, taken: Floats, leaf: Ints) -> None:
    """What an option takes from the array inwards, on its cheapest places."""
    for c in range(o.columns.size):
        taken[column_of(o.columns[c])] = o.features[c, pick]
    at = o.spread[pick]
    _, end = _end(o.ends[at], w)
    taken[PLACES], taken[PLACES + 1] = o.ends[at, end]
    leaf[0], leaf[1] = o.splits[at, o.end_splits[at, end]]
    way = o.ways[o.number[pick]]
    for column in range(WIDTH):
        leaf[2 + column], leaf[2 + WIDTH + column] = way[0, column], way[1, column]


@compiled(allocates=False)
def _take_above(
    n: Numbers, f: Form, axis: int, o: Options, own: Scratch, pick: int, taken: Floats, leaf: Ints
) -> None:
    """What the cheapest tiles above the array take that an option goes with."""
    d, e = n.first[axis], n.second[axis]
    stores, most = f.tensors.size, own.best.shape[2]
    _, i, j = _last_tiles(n, f, axis, o.keys[o.key[pick]], own.best[stores])
    for k in range(stores, -1, -1):
        leaf[2 + 2 * WIDTH + 2 * k] = n.sizes[d, i]
        leaf[3 + 2 * WIDTH + 2 * k] = n.sizes[e, j] if e >= 0 else 1
        if k == 0:
            break
        u, v = own.back[k, i, j] // most, own.back[k, i, j] % most
        taken[k - 1] = visits(f, axis, k - 1, own, (u, v), (i, j))
        if k - 1 != f.risen:
            taken[MONOMIALS + k - 1] = own.shares[f.tensors[k - 1], i, j]
            taken[FIRSTS + k - 1] = taken[MONOMIALS + k - 1]
        if k - 1 == f.starts:
            for lead in range(LEADS, LEADS + 3):
                taken[lead] += own.counts[i, j]
        i, j = u, v


@compiled(allocates=False)
def total(f: Form, taken: Floats, summed: Floats) -> None:
    """What all axes take together [TAKEN]."""
    for c in range(TAKEN):
        summed[c] = taken[:, c].sum()
    for axis in range(6):
        if f.risen >= 0 and not (axis < 2 and f.tensors[f.risen] == IFMAP):
            summed[RISEN] += taken[axis, f.risen]


@compiled(allocates=False)
def price_all(
    n: Numbers,
    f: Form,
    options: tuple[Options, ...],
    w: Weights,
    scratch: tuple[Scratch, ...],
    picks: Picks,
) -> Any:
    """The sum of the axes' least scores, and into `picks` what has them."""
    found = 0.0
    for axis in range(6):
        least = axis_best(n, f, axis, options[axis], w, scratch[axis], picks)
        if least >= BIG / 2:
            return BIG
        found += least
    return found


def no_picks() -> Picks:
    """Room for what is picked."""
    return Picks(np.zeros((6, TAKEN)), np.zeros((6, LEAF), np.int64))


def score_all(
    n: Numbers,
    f: Form,
    options: tuple[Options, ...],
    w: Weights,
    scratch: tuple[Scratch, ...],
) -> float:
    """The sum of the axes' least scores; those with each option are left in `scratch`."""
    return float(price_all(n, f, options, w, scratch, no_picks()))
