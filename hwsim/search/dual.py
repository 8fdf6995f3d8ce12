"""A lower bound on a structure's objective, by Lagrangian relaxation in the logarithms.

Energy is a sum of monomials: products, over the axes, of how often a loop nest sends tiles. By the
inequality of arithmetic and geometric means

    log(sum a_m M_m) >= sum w_m log(a_m M_m / w_m)      for any w >= 0 that sum to one,

and tiles that fill a memory and places that fill the array obey log(use) <= 0 likewise, at any
price. What remains is a sum over the axes, each of which has few options. The bound holds for any
weights and prices; good ones are found by moving them towards what the best options use.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hwsim.search.inner import FEATURES, INNER, SHARES
from hwsim.search.outer import BIG, cheapest, store_cost, visits
from hwsim.search.problem import MONOMIALS, OUTER, RISEN, RISEN_TILE, TILES, Form, Numbers
from hwsim.search.inner import IFMAP, Options, _tile

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Goal(NamedTuple):
    """What is minimised: energy ** powers[0] * cycles ** powers[1].

    `energy` [monomial] pJ each, and `energy_const`; `busy` [resource, monomial] cycles each, and
    `busy_const` [resource]; `clock` pJ a cycle.
    """

    powers: Ints
    energy: Floats
    energy_const: float
    busy: Floats
    busy_const: Floats
    clock: float


class Weights(NamedTuple):
    """Weights of monomials and prices of tiles and places, in the logarithms."""

    theta: Floats
    tiles: Floats
    places: Floats


@njit(cache=True)
def axis_best(n, f, axis, options, w, scratch, logs, tiles, places):
    """The least score of an axis; its options' logarithms are added to the last three.

    `scratch.scores` [option] then has the least score with each option."""
    scores, best, back, rests, spreads = scratch
    cheapest(n, f, axis, w.theta, w.tiles, best, back)
    _rests(n, f, axis, options, best[f.tensors.size], rests)
    _spreads(options, w, spreads)
    o = options
    for i in range(o.key.size):
        scores[i] = rests[o.key[i]] + spreads[o.spread[i]]
    for c in range(o.columns.size):
        k = o.columns[c]
        weight = w.theta[OUTER + k] if k < SHARES else w.tiles[OUTER + k - SHARES]
        if weight > 0:
            row = o.features[c]
            for i in range(row.size):
                scores[i] += weight * row[i]
    pick = np.argmin(scores)
    if scores[pick] < BIG / 2:
        _take(n, f, axis, options, w, scratch, pick, logs, tiles, places)
    return scores[pick]


@njit(cache=True)
def _rests(n, f, axis, o, best, rests):
    """The least cost of the stores above the array for each key."""
    d, e = n.first[axis], n.second[axis]
    K = f.tensors.size
    free0, free1 = f.masks[K, d], e >= 0 and f.masks[K, e]
    for key in range(o.keys.shape[0]):
        lo0, hi0, lo1, hi1 = o.keys[key]
        least = BIG
        for i in range(0 if free0 else lo0, hi0):
            for j in range(0 if free1 else lo1, hi1):
                least = min(least, best[i, j])
        rests[key] = least


@njit(cache=True)
def _spreads(o, w, spreads):
    """The least price of the places of each spread."""
    for at in range(o.split_counts.size):
        least = BIG
        for k in range(o.split_counts[at]):
            x, y = o.splits[at, k]
            least = min(least, w.places[0] * np.log(x) + w.places[1] * np.log(y))
        spreads[at] = least


@njit(cache=True)
def _take(n, f, axis, o, w, scratch, pick, logs, tiles, places):
    """Adds what an option takes, with the cheapest tiles above the array."""
    scores, best, back, rests, spreads = scratch
    for c in range(o.columns.size):
        k = o.columns[c]
        if k < SHARES:
            logs[OUTER + k] += o.features[c, pick]
        else:
            tiles[OUTER + k - SHARES] += o.features[c, pick]
    at = o.spread[pick]
    for k in range(o.split_counts[at]):
        x, y = o.splits[at, k]
        if w.places[0] * np.log(x) + w.places[1] * np.log(y) <= spreads[at]:
            places[0] += np.log(x)
            places[1] += np.log(y)
            break
    d, e = n.first[axis], n.second[axis]
    K = f.tensors.size
    free0, free1 = f.masks[K, d], e >= 0 and f.masks[K, e]
    lo0, hi0, lo1, hi1 = o.keys[o.key[pick]]
    least, pi, pj = BIG, 0, 0
    for i in range(0 if free0 else lo0, hi0):
        for j in range(0 if free1 else lo1, hi1):
            if best[K, i, j] < least:
                least, pi, pj = best[K, i, j], i, j
    most = best.shape[2]
    for k in range(K - 1, -1, -1):
        b = n.sizes[d, pi], n.sizes[e, pj] if e >= 0 else 1
        code = back[k + 1, pi, pj]
        pi, pj = code // most, code % most
        a = n.sizes[d, pi], n.sizes[e, pj] if e >= 0 else 1
        seen = visits(n, f, axis, k, a, b)
        logs[k] += seen
        t = f.tensors[k]
        if k == f.risen and not (axis < 2 and t == IFMAP):
            logs[RISEN] += seen
        if k != f.risen:
            tiles[k] += np.log(_tile(n, t, axis, b[0], b[1]))


@njit(cache=True)
def price_all(n, f, options, w, state, logs, tiles, places):
    """The sum of the axes' least scores; what the best options take is put into the last three."""
    logs[:], tiles[:], places[:] = 0.0, 0.0, 0.0
    total = 0.0
    for axis in range(6):
        least = axis_best(n, f, axis, options[axis], w, state[axis], logs, tiles, places)
        if least >= BIG / 2:
            return BIG
        total += least
    return total


@njit(cache=True)
def settle(n, f, goal, w, logs, tiles):
    """Moves the weights of monomials, and how a memory's price is shared, to where the bound is
    highest for given logarithms; the constant part of the bound."""
    total = goal.energy_const
    for m in range(MONOMIALS):
        w.theta[m] = goal.energy[m] * np.exp(logs[m]) if goal.energy[m] > 0 else 0.0
        total += w.theta[m]
    const = goal.energy_const / total * np.log(total)
    for m in range(MONOMIALS):
        if w.theta[m] > 0:
            w.theta[m] /= total
            const += w.theta[m] * np.log(goal.energy[m] / w.theta[m])
    for memory in range(n.room.size):
        use = price = 0.0
        for t in range(TILES):
            if f.memory[t] == memory:
                use += f.bits[t] * np.exp(tiles[t]) / n.room[memory]
                price += w.tiles[t]
        for t in range(TILES):
            if f.memory[t] == memory and price > 0:
                share = f.bits[t] * np.exp(tiles[t]) / n.room[memory] / use
                w.tiles[t] = price * share
                const += price * share * np.log(f.bits[t] / n.room[memory] / share)
    return const - w.places[0] * np.log(n.x) - w.places[1] * np.log(n.y)


@njit(cache=True)
def raise_prices(n, f, w, tiles, places, step):
    """Moves the prices of memories and of the array along their logarithmic overuse."""
    for memory in range(n.room.size):
        use = price = 0.0
        last = -1
        for t in range(TILES):
            if f.memory[t] == memory:
                use += f.bits[t] * np.exp(tiles[t]) / n.room[memory]
                price += w.tiles[t]
                last = t
        if last < 0:
            continue
        new = max(0.0, price + step * np.log(use))
        for t in range(TILES):
            if f.memory[t] == memory:
                w.tiles[t] = new * f.bits[t] * np.exp(tiles[t]) / n.room[memory] / use
    w.places[0] = max(0.0, w.places[0] + step * (places[0] - np.log(n.x)))
    w.places[1] = max(0.0, w.places[1] + step * (places[1] - np.log(n.y)))


@njit(cache=True)
def bound(n, f, goal, options, w, state, mean, target, limit, rounds):
    """The best bound found in so many rounds, as log(objective), and its weights in `w`; stops above
    `limit`. `mean` [MONOMIALS + TILES]: what the best options took of late."""
    logs, tiles, places = np.zeros(MONOMIALS), np.zeros(TILES), np.zeros(2)
    top, scale = -BIG, 1.0
    now = Weights(w.theta.copy(), w.tiles.copy(), w.places.copy())
    since = 0
    ml, mt = mean[:MONOMIALS], mean[MONOMIALS:]
    mp = np.zeros(2)
    for it in range(rounds):
        const = settle(n, f, goal, now, ml, mt)
        total = price_all(n, f, options, now, state, logs, tiles, places)
        if total >= BIG:
            return BIG
        value = total + const
        since += 1
        if value > top + 1e-4:
            since = 0
        if value > top:
            top = value
            w.theta[:], w.tiles[:], w.places[:] = now.theta, now.tiles, now.places
            if top > limit:
                return top
        if since > 4:
            scale *= 0.7
            since = 0
        # what the prices' gradient is
        norm = (places[0] - np.log(n.x)) ** 2 + (places[1] - np.log(n.y)) ** 2
        for memory in range(n.room.size):
            use = 0.0
            for t in range(TILES):
                if f.memory[t] == memory:
                    use += f.bits[t] * np.exp(tiles[t]) / n.room[memory]
            if use > 0:
                norm += np.log(use) ** 2
        for m in range(MONOMIALS):
            norm += now.theta[m] * (logs[m] - ml[m]) ** 2
        step = scale * max(target - value, 0.02) / max(norm, 1e-3)
        alpha = min(max(step, 0.02), 0.5)
        raise_prices(n, f, now, tiles, places, min(step, 0.3))
        for m in range(MONOMIALS):
            ml[m] += alpha * (logs[m] - ml[m])
        for t in range(TILES):
            mt[t] += alpha * (tiles[t] - mt[t])
    return top


@njit(cache=True)
def narrowed(o, scores, most):
    """The options whose scores are within `most` of the least."""
    keep = np.nonzero(scores[: o.key.size] <= scores[: o.key.size].min() + most)[0]
    features = np.empty((o.columns.size, keep.size))
    for c in range(o.columns.size):
        features[c] = o.features[c][keep]
    return Options(
        features, o.columns, o.ways[keep], o.spread[keep], o.splits, o.split_counts, o.key[keep],
        o.keys,
    )
