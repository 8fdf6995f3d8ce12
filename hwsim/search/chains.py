"""All near-best options of a structure's axes, and near-best chains of tiles above the array."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent
from hwsim.search.inner import FEATURES
from hwsim.search.outer import (
    BIG,
    Pair,
    Scratch,
    start_weight,
    tile_weight,
    visit_weight,
    visits,
)
from hwsim.search.pool import Pool
from hwsim.search.problem import OUTER, Form, Numbers
from hwsim.search.scores import Weights, score_all
from hwsim.search.tables import SPLITS, Tables, tile_counts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# Columns of a chain: the logarithms of visits of each store, of its tiles there, and of starts.
VISITS, STARTS, CHAIN = 0, 2 * OUTER, 2 * OUTER + 1


class Table(NamedTuple):
    """Options and chains of all axes, each axis' own from `starts[axis]` to `starts[axis + 1]`,
    best first.

    Options: `full` scores, `scores` without the stores above the array and places, `features`
    [option, FEATURES], `number` [option], `places` [option, SPLITS, 2] of `place_counts`,
    `spans` [option, 4] of the tiles they go with. Chains: `costs`, `chain` [chain, CHAIN], `tiles`
    [chain, OUTER + 1, 2] numbers of tiles. `least` [axis]: the least of both; `last`: the number of
    stores above the array.
    """

    option_starts: Ints
    full: Floats
    scores: Floats
    features: Floats
    number: Ints
    places: Ints
    place_counts: Ints
    spans: Ints
    chain_starts: Ints
    costs: Floats
    chain: Floats
    tiles: Ints
    least: Floats
    last: int


@compiled()
def near(n: Numbers, f: Form, t: Tables, p: Pool, a: Ascent, s: Scratch, limit: float) -> Table:
    """The table of options and chains that nests below `limit` may have."""
    slack = max(limit - a.const[0] - score_all(n, f, t, p, a.weights, s), 0.0)
    option_starts, chain_starts = np.zeros(7, np.int64), np.zeros(7, np.int64)
    least, w = np.zeros(6), a.weights
    picks, chains = [], []
    for axis in range(6):
        begin = p.begin[axis]
        scores = s.scores[begin : p.end[axis]]
        order = begin + np.argsort(scores, kind="mergesort")
        least[axis] = s.scores[order[0]]
        order = _undominated(p, order[s.scores[order] <= least[axis] + slack])
        togo = to_go(n, f, t, p, axis, order, w, s)
        found = _near_best(n, f, t, axis, p.barred[axis], togo, w, least[axis] + slack)
        picks.append(order)
        chains.append(found)
        option_starts[axis + 1] = option_starts[axis] + order.size
        chain_starts[axis + 1] = chain_starts[axis] + found[0].size
    table = _empty(option_starts, chain_starts, least, f.tensors.size)
    for axis in range(6):
        _fill(n, f, t, p, axis, s, picks[axis], table)
        i, j = chain_starts[axis], chain_starts[axis + 1]
        table.costs[i:j], table.chain[i:j], table.tiles[i:j] = chains[axis]
    return table


@compiled()
def _empty(option_starts: Ints, chain_starts: Ints, least: Floats, last: int) -> Table:
    """A table with room for so many options and chains."""
    options, chains = option_starts[6], chain_starts[6]
    return Table(
        option_starts,
        np.zeros(options),
        np.zeros(options),
        np.zeros((options, FEATURES)),
        np.zeros(options, np.int64),
        np.ones((options, SPLITS, 2), np.int64),
        np.zeros(options, np.int64),
        np.zeros((options, 4), np.int64),
        chain_starts,
        np.zeros(chains),
        np.zeros((chains, CHAIN)),
        np.zeros((chains, OUTER + 1, 2), np.int64),
        least,
        last,
    )


@compiled()
def _fill(
    n: Numbers, f: Form, t: Tables, p: Pool, axis: int, s: Scratch, picks: Ints, to: Table
) -> None:
    """Writes the picked options of an axis into the table."""
    free0, free1 = _free(n, f, axis, f.tensors.size)
    for at in range(picks.size):
        row, pick = to.option_starts[axis] + at, picks[at]
        spread, key = p.spread[pick], p.key[pick]
        to.full[row] = s.scores[pick]
        to.scores[row] = s.scores[pick] - s.rests[axis, key] - s.spreads[spread]
        for c in range(p.columns.size):
            to.features[row, p.columns[c]] = p.features[c, pick]
        to.number[row] = p.number[pick]
        to.places[row], to.place_counts[row] = t.splits[spread], t.split_counts[spread]
        i, j = key // n.wide, key % n.wide
        to.spans[row, 0], to.spans[row, 1] = 0 if free0 else i, i + 1
        to.spans[row, 2], to.spans[row, 3] = 0 if free1 else j, j + 1


@compiled()
def _undominated(p: Pool, order: Ints) -> Any:
    """Those of the options, best first, that no other with the same places and tiles above the
    array beats in everything."""
    keep = np.ones(order.size, np.bool_)
    for i in range(order.size):
        for j in range(i):
            if keep[j] and _beats(p, order[j], order[i]):
                keep[i] = False
                break
    return order[keep]


@compiled(allocates=False)
def _beats(p: Pool, a: int, b: int) -> bool:
    """Whether option a does all that b does, with no more of anything."""
    if p.spread[a] != p.spread[b] or p.key[a] != p.key[b]:
        return False
    c = 0
    while c < p.columns.size and p.features[c, a] <= p.features[c, b] + 1e-12:
        c += 1
    return c == p.columns.size


@compiled(allocates=False)
def _free(n: Numbers, f: Form, axis: int, slot: int) -> Any:
    """Whether loops in a slot above the array may go through either dimension of an axis."""
    d, e = n.first[axis], n.second[axis]
    return f.masks[slot, d], e >= 0 and f.masks[slot, e]


@compiled()
def to_go(
    n: Numbers, f: Form, t: Tables, p: Pool, axis: int, order: Ints, w: Weights, s: Scratch
) -> Floats:
    """The least that stores from k on and an option may cost, [store k + 1, tile, tile] by the
    tiles before k, of the options in `order`."""
    c0, c1 = tile_counts(n, axis)
    stores = f.tensors.size
    togo = np.full((stores + 1, c0, c1), BIG)
    free0, free1 = _free(n, f, axis, stores)
    for pick in order:
        cost = s.scores[pick] - s.rests[axis, p.key[pick]]
        last0, last1 = p.key[pick] // n.wide, p.key[pick] % n.wide
        for i in range(0 if free0 else last0, last0 + 1):
            for j in range(0 if free1 else last1, last1 + 1):
                togo[stores, i, j] = min(togo[stores, i, j], cost)
    for k in range(stores - 1, -1, -1):
        free0, free1 = _free(n, f, axis, k)
        for u in range(c0):
            for v in range(c1):
                for i in range(u, c0 if free0 else u + 1):
                    for j in range(v, c1 if free1 else v + 1):
                        if togo[k + 1, i, j] < BIG and not p.barred[axis, k, i, j]:
                            cost = _step(f, t, axis, k, (u, v), (i, j), w)[0]
                            togo[k, u, v] = min(togo[k, u, v], cost + togo[k + 1, i, j])
    return togo


@compiled()
def _near_best(
    n: Numbers, f: Form, t: Tables, axis: int, barred: Flags, togo: Floats, w: Weights, most: float
) -> Any:
    """(costs [chain], columns [chain, CHAIN], tiles [chain, OUTER + 1, 2]) of all chains that some
    option makes at most `most`, best first."""
    costs, chain = np.zeros(1), np.zeros((1, CHAIN))
    tiles = np.zeros((1, OUTER + 1, 2), np.int64)
    _, c0, c1 = togo.shape
    for k in range(f.tensors.size):
        left = np.where(barred[k, :c0, :c1], BIG, togo[k + 1])
        parents, steps, seen = _longer(n, f, t, axis, k, costs, tiles, left, w, most)
        costs, chain, tiles = costs[parents], chain[parents], tiles[parents]
        for row in range(parents.size):
            costs[row] += seen[row, 0]
            chain[row, VISITS + k], chain[row, OUTER + k] = seen[row, 1], seen[row, 2]
            chain[row, STARTS] += seen[row, 3]
            tiles[row, k + 1] = steps[row]
    rank = np.argsort(costs, kind="mergesort")
    return costs[rank], chain[rank], tiles[rank]


@compiled()
def _longer(
    n: Numbers,
    f: Form,
    t: Tables,
    axis: int,
    k: int,
    costs: Floats,
    tiles: Ints,
    togo: Floats,
    w: Weights,
    most: float,
) -> Any:
    """Every way to go on with chains at store k: which one [way], tiles there [way, 2], and cost
    and logarithms of visits, of the tile and of starts [way, 4]."""
    free0, free1 = _free(n, f, axis, k)
    c0, c1 = togo.shape
    parents, steps, seen = np.zeros(64, np.int64), np.zeros((64, 2), np.int64), np.zeros((64, 4))
    count = 0
    for row in range(costs.size):
        u, v = tiles[row, k]
        for i in range(u, c0 if free0 else u + 1):
            for j in range(v, c1 if free1 else v + 1):
                if togo[i, j] >= BIG:
                    continue
                step = _step(f, t, axis, k, (u, v), (i, j), w)
                if costs[row] + step[0] + togo[i, j] > most + 1e-12:
                    continue
                if count == parents.size:
                    parents = np.concatenate((parents, parents))
                    steps, seen = np.concatenate((steps, steps)), np.concatenate((seen, seen))
                parents[count] = row
                steps[count, 0], steps[count, 1] = i, j
                seen[count] = step
                count += 1
    return parents[:count], steps[:count], seen[:count]


@compiled(allocates=False)
def _step(f: Form, t: Tables, axis: int, k: int, before: Pair, at: Pair, w: Weights) -> Any:
    """Weighted cost, logarithms of visits, of the tile and of starts at store k, by numbers of the
    tiles before and there."""
    seen, (i, j) = visits(f, t, axis, k, before, at), at
    tile = 0.0 if k == f.risen else t.shares[axis, f.tensors[k], i, j]
    starts = t.counts[axis, i, j] if k == f.starts else 0.0
    cost = visit_weight(f, axis, k, w.theta) * seen
    cost += tile_weight(f, k, w.theta, w.tiles) * tile + start_weight(f, k, w.theta) * starts
    return cost, seen, tile, starts
