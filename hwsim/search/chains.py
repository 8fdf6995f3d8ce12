"""All near-best options of a structure's axes, and all near-best chains of tiles above the array."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hwsim.search.dual import BIG
from hwsim.search.inner import FEATURES, IFMAP, INNER, SHARES, WIDTH, _tile
from hwsim.search.outer import visits
from hwsim.search.problem import OUTER, RISEN, TILES

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Columns of a chain: the logarithms of visits of each store, and of its tiles there.
VISITS, CHAIN = 0, 2 * OUTER


class Table(NamedTuple):
    """Options and chains of all axes, each axis' own from `starts[axis]` to `starts[axis + 1]`,
    best first.

    Options: `full` scores, `scores` without the stores above the array, `features`, `ways`, `places` [option, 32,
    2] of `place_counts`, `spans` [option, 4] of the tiles they go with. Chains: `costs`, `chain`
    [chain, CHAIN], `tiles` [chain, OUTER + 1, 2] numbers of tiles. `rest` [axis]: the least of both.
    """

    option_starts: Ints
    full: Floats
    scores: Floats
    features: Floats
    ways: Ints
    places: Ints
    place_counts: Ints
    spans: Ints
    chain_starts: Ints
    costs: Floats
    chain: Floats
    tiles: Ints
    least: Floats
    last: int


@njit(cache=True)
def table(n, f, options, w, state, slack):
    """The table of options and chains that may be part of a nest at most `slack` above the sum of
    all least scores."""
    option_starts, chain_starts = np.zeros(7, np.int64), np.zeros(7, np.int64)
    least = np.zeros(6)
    picks, chains = [], []
    for axis in range(6):
        o, (scores, best, back, rests, spreads) = options[axis], state[axis]
        scores = scores[: o.key.size]
        order = np.argsort(scores, kind="mergesort")
        least[axis] = scores[order[0]]
        order = _undominated(o, order[scores[order] <= least[axis] + slack])
        picks.append(order)
        option_starts[axis + 1] = option_starts[axis] + order.size
        own = scores - rests[o.key]
        found = _near_best(n, f, axis, o, own, order, w, least[axis] + slack)
        chains.append(found)
        chain_starts[axis + 1] = chain_starts[axis] + found[0].size
    total, many = option_starts[6], chain_starts[6]
    K = f.tensors.size
    t = Table(
        option_starts, np.zeros(total), np.zeros(total), np.zeros((total, FEATURES)),
        np.zeros((total, 2, WIDTH), np.int64), np.ones((total, 32, 2), np.int64),
        np.zeros(total, np.int64), np.zeros((total, 4), np.int64), chain_starts, np.zeros(many),
        np.zeros((many, CHAIN)), np.zeros((many, OUTER + 1, 2), np.int64), least, K,
    )
    for axis in range(6):
        o, (scores, best, back, rests, spreads) = options[axis], state[axis]
        d, e = n.first[axis], n.second[axis]
        free0, free1 = f.masks[K, d], e >= 0 and f.masks[K, e]
        for at in range(picks[axis].size):
            row, pick = option_starts[axis] + at, picks[axis][at]
            t.full[row] = scores[pick]
            t.scores[row] = scores[pick] - rests[o.key[pick]] - spreads[o.spread[pick]]
            for c in range(o.columns.size):
                t.features[row, o.columns[c]] = o.features[c, pick]
            t.ways[row] = o.ways[pick]
            t.places[row], t.place_counts[row] = o.splits[o.spread[pick]], o.split_counts[o.spread[pick]]
            t.spans[row] = o.keys[o.key[pick]]
            if free0:
                t.spans[row, 0] = 0
            if free1:
                t.spans[row, 2] = 0
        costs, chain, tiles = chains[axis]
        a, b = chain_starts[axis], chain_starts[axis + 1]
        t.costs[a:b], t.chain[a:b], t.tiles[a:b] = costs, chain, tiles
    return t


@njit(cache=True)
def _undominated(o, order):
    """Those of the options, best first, that no other with the same places and tiles above the
    array beats in everything."""
    keep = np.ones(order.size, np.bool_)
    for i in range(order.size):
        a = order[i]
        for j in range(i):
            b = order[j]
            if keep[j] and o.spread[a] == o.spread[b] and o.key[a] == o.key[b]:
                worse = True
                for c in range(o.columns.size):
                    if o.features[c, b] > o.features[c, a] + 1e-12:
                        worse = False
                        break
                if worse:
                    keep[i] = False
                    break
    return order[keep]


@njit(cache=True)
def _near_best(n, f, axis, o, own, order, w, most):
    """(costs, columns, tiles) of all chains that some option makes at most `most`."""
    d, e = n.first[axis], n.second[axis]
    c0, c1 = n.counts[d], n.counts[e] if e >= 0 else 1
    K = f.tensors.size
    togo = np.full((K + 1, c0, c1), BIG)
    free0, free1 = f.masks[K, d], e >= 0 and f.masks[K, e]
    cheapest = np.full(o.keys.shape[0], BIG)
    for pick in order:
        cheapest[o.key[pick]] = min(cheapest[o.key[pick]], own[pick])
    for key in range(o.keys.shape[0]):
        lo0, hi0, lo1, hi1 = o.keys[key]
        for i in range(0 if free0 else lo0, hi0):
            for j in range(0 if free1 else lo1, hi1):
                togo[K, i, j] = min(togo[K, i, j], cheapest[key])
    for k in range(K - 1, -1, -1):
        free0, free1 = f.masks[k, d], e >= 0 and f.masks[k, e]
        for u in range(c0):
            for v in range(c1):
                for i in range(u, c0 if free0 else u + 1):
                    for j in range(v, c1 if free1 else v + 1):
                        if togo[k + 1, i, j] < BIG:
                            step = _step(n, f, axis, k, u, v, i, j, w)
                            togo[k, u, v] = min(togo[k, u, v], step[0] + togo[k + 1, i, j])
    costs, chain = np.zeros(1), np.zeros((1, CHAIN))
    tiles = np.zeros((1, OUTER + 1, 2), np.int64)
    for k in range(K):
        free0, free1 = f.masks[k, d], e >= 0 and f.masks[k, e]
        size, count = 64, 0
        next_costs, next_chain = np.zeros(size), np.zeros((size, CHAIN))
        next_tiles = np.zeros((size, OUTER + 1, 2), np.int64)
        for row in range(costs.size):
            u, v = tiles[row, k]
            for i in range(u, c0 if free0 else u + 1):
                for j in range(v, c1 if free1 else v + 1):
                    if togo[k + 1, i, j] >= BIG:
                        continue
                    cost, seen, tile = _step(n, f, axis, k, u, v, i, j, w)
                    if costs[row] + cost + togo[k + 1, i, j] > most + 1e-12:
                        continue
                    if count == size:
                        next_costs = np.concatenate((next_costs, np.zeros(size)))
                        next_chain = np.concatenate((next_chain, np.zeros((size, CHAIN))))
                        next_tiles = np.concatenate(
                            (next_tiles, np.zeros((size, OUTER + 1, 2), np.int64))
                        )
                        size *= 2
                    next_costs[count] = costs[row] + cost
                    next_chain[count], next_tiles[count] = chain[row], tiles[row]
                    next_chain[count, k], next_chain[count, OUTER + k] = seen, tile
                    next_tiles[count, k + 1, 0], next_tiles[count, k + 1, 1] = i, j
                    count += 1
        costs, chain = next_costs[:count], next_chain[:count]
        tiles = next_tiles[:count]
    rank = np.argsort(costs, kind="mergesort")
    return costs[rank], chain[rank], tiles[rank]


@njit(cache=True)
def _step(n, f, axis, k, u, v, i, j, w):
    """Cost, logarithm of visits and of the tile at store k, number (u, v) before, (i, j) there."""
    d, e = n.first[axis], n.second[axis]
    a = n.sizes[d, u], n.sizes[e, v] if e >= 0 else 1
    b = n.sizes[d, i], n.sizes[e, j] if e >= 0 else 1
    t = f.tensors[k]
    weight = w.theta[k]
    tile = 0.0
    if k == f.risen:
        if not (axis < 2 and t == IFMAP):
            weight += w.theta[RISEN]
    else:
        tile = np.log(_tile(n, t, axis, b[0], b[1]))
    seen = visits(n, f, axis, k, a, b)
    return weight * seen + w.tiles[k] * tile, seen, tile
