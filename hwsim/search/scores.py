"""The best option of every axis, and tiles above the array, at given weights and prices."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.inner import SHARES
from hwsim.search.outer import BIG, Scratch, cheapest, is_twice, visits
from hwsim.search.pool import Pool
from hwsim.search.problem import FIRSTS, LEADS, MONOMIALS, OUTER, RISEN, TILES, Form, Numbers
from hwsim.search.tables import Tables

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Columns of what an axis takes: logarithms of monomials, but that of a pad that rose holds what its
# option does to it and not the loops above; of tiles; of places along x and y.
PLACES = MONOMIALS + TILES
TAKEN = PLACES + 2
# What is written down of an axis of a nest: its option, the split of its places, and tiles above
# the array, those before the first store first, all by their numbers.
NUMBER, SPLIT, ABOVE = 0, 1, 2
LEAF = ABOVE + 2 * (OUTER + 1)


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
    n: Numbers, f: Form, t: Tables, p: Pool, axis: int, w: Weights, s: Scratch, picks: Picks
) -> Any:
    """The least score of an axis, and into `picks` what has it; `s.scores` [option] then has the
    least score with each option."""
    if p.begin[axis] == p.end[axis]:
        return BIG
    cheapest(n, f, t, axis, w.theta, w.tiles, p.barred[axis], s)
    _price_places(t, p, axis, w, s.spreads)
    _score(p, axis, w, s)
    pick = p.begin[axis]
    for i in range(p.begin[axis], p.end[axis]):
        if s.scores[i] < s.scores[pick]:
            pick = i
    if s.scores[pick] < BIG / 2:
        picks.taken[axis] = 0.0
        _take_within(t, p, axis, w, pick, picks.taken[axis], picks.leaf[axis])
        _take_above(n, f, t, axis, p.key[pick], s.back[axis], picks.taken[axis], picks.leaf[axis])
    return s.scores[pick]


@compiled(allocates=False)
def _price_places(t: Tables, p: Pool, axis: int, w: Weights, spreads: Floats) -> None:
    """Fills in the prices of an axis' places."""
    for at in range(t.starts[axis], t.starts[axis + 1]):
        spreads[at] = _end(t.ends[at], w)[0] if p.splits[axis] < 0 else 0.0


@compiled(allocates=False)
def _end(ends: Floats, w: Weights) -> Any:
    """The lower price of places that are longest along either axis, and which it is."""
    one = w.places[0] * ends[0, 0] + w.places[1] * ends[0, 1]
    other = w.places[0] * ends[1, 0] + w.places[1] * ends[1, 1]
    return (one, 0) if one <= other else (other, 1)


@compiled(allocates=False)
def _score(p: Pool, axis: int, w: Weights, s: Scratch) -> None:
    """The least score with each option."""
    scores, rests, a, b = s.scores, s.rests[axis], p.begin[axis], p.end[axis]
    for i in range(a, b):
        scores[i] = rests[p.key[i]] + s.spreads[p.spread[i]]
    for c in range(p.columns.size):
        k = p.columns[c]
        weight = w.theta[OUTER + k] if k < SHARES else w.tiles[OUTER + k - SHARES]
        if weight > 0 and p.used[axis, c]:
            row = p.features[c]
            for i in range(a, b):
                scores[i] += weight * row[i]


@compiled(allocates=False)
def column_of(feature: int) -> Any:
    """The column of TAKEN of an option's feature."""
    return OUTER + feature if feature < SHARES else MONOMIALS + OUTER + feature - SHARES


@compiled(allocates=False)
def _take_within(
    t: Tables, p: Pool, axis: int, w: Weights, pick: int, taken: Floats, leaf: Ints
) -> None:
    """What an option takes from the array inwards, on its cheapest places."""
    for c in range(p.columns.size):
        taken[column_of(p.columns[c])] = p.features[c, pick]
    leaf[NUMBER], leaf[SPLIT] = p.number[pick], p.splits[axis]
    if p.splits[axis] < 0:
        at = p.spread[pick]
        _, end = _end(t.ends[at], w)
        taken[PLACES], taken[PLACES + 1] = t.ends[at, end]
        leaf[SPLIT] = t.end_splits[at, end]


@compiled(allocates=False)
def _take_above(
    n: Numbers, f: Form, t: Tables, axis: int, key: int, back: Ints, taken: Floats, leaf: Ints
) -> None:
    """What the cheapest tiles above the array take that an option goes with."""
    stores = f.tensors.size
    last = back[stores + 1, key // n.wide, key % n.wide]
    i, j = last // n.wide, last % n.wide
    for k in range(stores, -1, -1):
        leaf[ABOVE + 2 * k], leaf[ABOVE + 2 * k + 1] = i, j
        if k == 0:
            break
        u, v = back[k, i, j] // n.wide, back[k, i, j] % n.wide
        taken[k - 1] = visits(f, t, axis, k - 1, (u, v), (i, j))
        if k - 1 != f.risen:
            taken[MONOMIALS + k - 1] = t.shares[axis, f.tensors[k - 1], i, j]
            taken[FIRSTS + k - 1] = taken[MONOMIALS + k - 1]
        if k - 1 == f.starts:
            for lead in range(LEADS, LEADS + 3):
                taken[lead] += t.counts[axis, i, j]
        i, j = u, v


@compiled(inline=True)
def write_down(leaf: Ints, number: int, split: int, tiles: Ints, stores: int) -> None:
    """Writes an axis of a nest down [LEAF]; `tiles` [store + 1, 2] by their numbers."""
    leaf[NUMBER], leaf[SPLIT] = number, split
    for k in range(stores + 1):
        for dim in range(2):
            leaf[ABOVE + 2 * k + dim] = tiles[k, dim]


@compiled(allocates=False)
def total(f: Form, taken: Floats, summed: Floats) -> None:
    """What all axes take together [TAKEN]."""
    for c in range(TAKEN):
        summed[c] = taken[:, c].sum()
    for axis in range(6):
        if is_twice(f, axis):
            summed[RISEN] += taken[axis, f.risen]


@compiled(allocates=False)
def price_all(n: Numbers, f: Form, t: Tables, p: Pool, w: Weights, s: Scratch, picks: Picks) -> Any:
    """The sum of the axes' least scores, and into `picks` what has them."""
    found = 0.0
    for axis in range(6):
        least = axis_best(n, f, t, p, axis, w, s, picks)
        if least >= BIG / 2:
            return BIG
        found += least
    return found


@compiled()
def no_picks() -> Picks:
    """Room for what is picked."""
    return Picks(np.zeros((6, TAKEN)), np.zeros((6, LEAF), np.int64))


@compiled()
def score_all(n: Numbers, f: Form, t: Tables, p: Pool, w: Weights, s: Scratch) -> Any:
    """The sum of the axes' least scores; those with each option are left in `s.scores`."""
    return price_all(n, f, t, p, w, s, no_picks())
