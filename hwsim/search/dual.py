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

# Steps of the weights of resources, by the share of cycles that they differ in.
HASTE = 2.0


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
    """Weights of monomials, prices of tiles and of places, in the logarithms, and `busy`, weights
    of resources that sum to one."""

    theta: Floats
    tiles: Floats
    places: Floats
    busy: Floats


def weights(goal: Goal) -> Weights:
    """Weights to begin with."""
    count = goal.busy_const.size
    return Weights(
        np.zeros(MONOMIALS), np.zeros(TILES), np.zeros(2), np.full(count, 1 / max(count, 1))
    )


@njit(cache=True)
def value(goal: Goal, logs: Floats) -> Any:
    """(energy, cycles) of given logarithms of monomials: no more than a nest's."""
    visits = np.exp(logs)
    energy, cycles = goal.energy_const, 0.0
    for m in range(MONOMIALS):
        if goal.energy[m] > 0:
            energy += goal.energy[m] * visits[m]
    for r in range(goal.busy_const.size):
        cycles = max(cycles, _load(goal, r, visits))
    return energy + goal.clock * cycles, cycles


@njit(cache=True)
def objective(goal: Goal, energy: float, cycles: float) -> Any:
    """What is minimised, of energy and cycles."""
    return energy ** goal.powers[0] * cycles ** goal.powers[1]


@njit(cache=True)
def _load(goal: Goal, r: int, visits: Floats) -> Any:
    """Cycles for which a resource is busy."""
    load = goal.busy_const[r]
    for m in range(MONOMIALS):
        if goal.busy[r, m] > 0:
            load += goal.busy[r, m] * visits[m]
    return load


@njit(cache=True)
def axis_best(n, f, axis, options, w, scratch, logs, tiles, places):
    """The least score of an axis; its options' logarithms are added to the last three.

    `scratch.scores` [option] then has the least score with each option."""
    scores, best, back, rests, spreads = scratch
    if options.key.size == 0:
        return BIG
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
def weigh(goal, w, logs):
    """Puts the weights of monomials to where the bound is highest for given logarithms; its constant
    part."""
    busy, busy_const = np.zeros(MONOMIALS), 0.0
    for r in range(goal.busy_const.size):
        busy_const += w.busy[r] * goal.busy_const[r]
        for m in range(MONOMIALS):
            busy[m] += w.busy[r] * goal.busy[r, m]
    w.theta[:] = 0.0
    const, visits = 0.0, np.exp(logs)
    if goal.powers[0] > 0:
        each, fixed = goal.energy + goal.clock * busy, goal.energy_const + goal.clock * busy_const
        const += _tangent(each, fixed, logs, visits, goal.powers[0], w.theta)
    if goal.powers[1] > 0:
        const += _tangent(busy, busy_const, logs, visits, goal.powers[1], w.theta)
    return const


@njit(cache=True)
def _tangent(each, fixed, logs, visits, power, theta):
    """Adds the slopes of power * log(fixed + sum each * visits) to theta; what it is at logs of 0."""
    total = fixed
    for m in range(MONOMIALS):
        if each[m] > 0:
            total += each[m] * visits[m]
    found = np.log(total)
    for m in range(MONOMIALS):
        if each[m] > 0:
            slope = each[m] * visits[m] / total
            theta[m] += power * slope
            found -= slope * logs[m]
    return power * found


@njit(cache=True)
def hurry(goal, w, logs, step):
    """Moves the weights of resources towards those that are busiest at given logarithms."""
    count = goal.busy_const.size
    if count < 2:
        return
    visits, loads, mean = np.exp(logs), np.zeros(count), 0.0
    for r in range(count):
        loads[r] = _load(goal, r, visits)
        mean += w.busy[r] * loads[r]
    gain = float(goal.powers[1])
    if goal.powers[0] > 0 and goal.clock > 0:
        energy = goal.energy_const + goal.clock * mean
        for m in range(MONOMIALS):
            if goal.energy[m] > 0:
                energy += goal.energy[m] * visits[m]
        gain += goal.powers[0] * goal.clock * mean / energy
    top, total = loads.max(), 0.0
    for r in range(count):
        w.busy[r] = max(w.busy[r], 1e-9) * np.exp(step * gain * (loads[r] - top) / mean)
        total += w.busy[r]
    w.busy[:] /= total


@njit(cache=True)
def settle(n, f, goal, w, logs, tiles):
    """Moves the weights of monomials, and how a memory's price is shared, to where the bound is
    highest for given logarithms; the constant part of the bound."""
    const = weigh(goal, w, logs)
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
    now = Weights(w.theta.copy(), w.tiles.copy(), w.places.copy(), w.busy.copy())
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
            w.busy[:] = now.busy
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
        hurry(goal, now, ml, HASTE)
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
