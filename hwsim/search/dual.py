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

from hwsim.search.inner import Options
from hwsim.search.outer import BIG, Scratch
from hwsim.search.problem import MONOMIALS, TILES, Form, Numbers
from hwsim.search.scores import LEAF, PLACES, TAKEN, Picks, Weights, price_all, total

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


# What a nest comes to


@njit(cache=True)
def value(goal: Goal, logs: Floats) -> Any:
    """(energy in pJ, cycles) of given logarithms of monomials: no more than a nest's."""
    visits = np.exp(logs)
    energy, cycles = _spent(goal, visits), 0.0
    for r in range(goal.busy_const.size):
        cycles = max(cycles, _load(goal, r, visits))
    return energy + goal.clock * cycles, cycles


@njit(cache=True)
def objective(goal: Goal, energy: float, cycles: float) -> Any:
    """What is minimised, of energy and cycles."""
    return energy ** goal.powers[0] * cycles ** goal.powers[1]


@njit(cache=True)
def _spent(goal: Goal, visits: Floats) -> Any:
    """Energy in pJ but for that of cycles."""
    energy = goal.energy_const
    for m in range(MONOMIALS):
        if goal.energy[m] > 0:
            energy += goal.energy[m] * visits[m]
    return energy


@njit(cache=True)
def _load(goal: Goal, r: int, visits: Floats) -> Any:
    """Cycles for which a resource is busy."""
    load = goal.busy_const[r]
    for m in range(MONOMIALS):
        if goal.busy[r, m] > 0:
            load += goal.busy[r, m] * visits[m]
    return load


# What fits


@njit(cache=True)
def all_fit(n: Numbers, f: Form, tiles: Floats, first: int) -> Any:
    """Whether every memory holds the tiles from number `first` on."""
    memory = 0
    while memory < n.room.size and not _overfull(n, f, tiles, memory, first):
        memory += 1
    return memory == n.room.size


@njit(cache=True)
def _overfull(n: Numbers, f: Form, tiles: Floats, memory: int, first: int) -> Any:
    """Whether a memory cannot hold the tiles from number `first` on."""
    used = 0.0
    for t in range(first, TILES):
        if f.memory[t] == memory:
            used += f.bits[t] * np.exp(tiles[t])
    return used > n.room[memory] * (1 + 1e-9)


# Weights where the bound is highest


@njit(cache=True)
def weigh(goal: Goal, w: Weights, logs: Floats) -> Any:
    """Puts the weights of monomials to where the bound is highest for given logarithms; its
    constant part."""
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
def _tangent(
    each: Floats, fixed: float, logs: Floats, visits: Floats, power: int, theta: Floats
) -> Any:
    """Adds the slopes of power * log(fixed + sum each * visits) to theta; what it is at logs of
    0."""
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
def hurry(goal: Goal, w: Weights, logs: Floats, step: float) -> None:
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
        energy = goal.clock * mean + _spent(goal, visits)
        gain += goal.powers[0] * goal.clock * mean / energy
    top, total = loads.max(), 0.0
    for r in range(count):
        w.busy[r] = max(w.busy[r], 1e-9) * np.exp(step * gain * (loads[r] - top) / mean)
        total += w.busy[r]
    w.busy[:] /= total


@njit(cache=True)
def _use(n: Numbers, f: Form, memory: int, tiles: Floats) -> Any:
    """The share of a memory that tiles of given logarithms fill."""
    use = 0.0
    for t in range(TILES):
        if f.memory[t] == memory:
            use += f.bits[t] * np.exp(tiles[t]) / n.room[memory]
    return use


@njit(cache=True)
def _price(f: Form, memory: int, w: Weights) -> Any:
    """The price of a memory: of all tiles in it together."""
    price = 0.0
    for t in range(TILES):
        if f.memory[t] == memory:
            price += w.tiles[t]
    return price


@njit(cache=True)
def settle(n: Numbers, f: Form, goal: Goal, w: Weights, logs: Floats, tiles: Floats) -> Any:
    """Moves the weights of monomials, and how a memory's price is shared, to where the bound is
    highest for given logarithms; the constant part of the bound."""
    const = weigh(goal, w, logs)
    for memory in range(n.room.size):
        use, price = _use(n, f, memory, tiles), _price(f, memory, w)
        for t in range(TILES):
            if f.memory[t] == memory and price > 0:
                share = f.bits[t] * np.exp(tiles[t]) / n.room[memory] / use
                w.tiles[t] = price * share
                const += price * share * np.log(f.bits[t] / n.room[memory] / share)
    return const - w.places[0] * np.log(n.x) - w.places[1] * np.log(n.y)


@njit(cache=True)
def raise_prices(
    n: Numbers, f: Form, w: Weights, tiles: Floats, places: Floats, step: float
) -> None:
    """Moves the prices of memories and of the array along their logarithmic overuse."""
    for memory in range(n.room.size):
        use = _use(n, f, memory, tiles)
        if use > 0:
            new = max(0.0, _price(f, memory, w) + step * np.log(use))
            for t in range(TILES):
                if f.memory[t] == memory:
                    w.tiles[t] = new * f.bits[t] * np.exp(tiles[t]) / n.room[memory] / use
    w.places[0] = max(0.0, w.places[0] + step * (places[0] - np.log(n.x)))
    w.places[1] = max(0.0, w.places[1] + step * (places[1] - np.log(n.y)))


# The bound


class Ascent(NamedTuple):
    """How far a bound was raised: `weights` where it is highest and `const` [1], its part that no
    option changes; of what the best options took of late [axis, TAKEN], the `mean` and the
    deviation, `swing`. `leaf` [axis, LEAF]: the lowest nest seen that fits, of `value` [1]."""

    weights: Weights
    const: Floats
    mean: Floats
    swing: Floats
    leaf: Ints
    value: Floats


def ascent(goal: Goal) -> Ascent:
    """One that has not begun."""
    count = goal.busy_const.size
    start = Weights(
        np.zeros(MONOMIALS), np.zeros(TILES), np.zeros(2), np.full(count, 1 / max(count, 1))
    )
    mean, swing = np.zeros((6, TAKEN)), np.zeros((6, TAKEN))
    return Ascent(start, np.full(1, -BIG), mean, swing, np.zeros((6, LEAF), np.int64), np.zeros(1))


@njit(cache=True)
def bound(
    n: Numbers,
    f: Form,
    goal: Goal,
    options: tuple[Options, ...],
    a: Ascent,
    scratch: tuple[Scratch, ...],
    limit: float,
    rounds: int,
) -> Any:
    """The best bound found in so many rounds, as log(objective), `a` gone on with; stops above
    `limit`. Steps are as long as would reach `limit` if the bound went on rising as it does at
    first."""
    picks = Picks(np.zeros((6, TAKEN)), np.zeros((6, LEAF), np.int64))
    now, average, summed = _copied(a.weights), np.zeros(TAKEN), np.zeros(TAKEN)
    a.value[0] = np.inf
    top, scale, since = -BIG, 1.0, 0
    if a.const[0] > -BIG:
        top = a.const[0] + price_all(n, f, options, now, scratch, picks)
    for _ in range(rounds):
        if top > limit:
            break
        total(f, a.mean, average)
        const = settle(n, f, goal, now, average[:MONOMIALS], average[MONOMIALS:PLACES])
        priced = price_all(n, f, options, now, scratch, picks)
        if priced >= BIG:
            return BIG
        reached = priced + const
        since = 0 if reached > top + 1e-4 else since + 1
        if reached > top:
            top, a.const[0] = reached, const
            _copy(now, a.weights)
        if since > 4:
            scale *= 0.7
            since = 0
        total(f, picks.taken, summed)
        _keep(n, f, goal, picks, summed, a)
        tiles, places = summed[MONOMIALS:PLACES], summed[PLACES:]
        moves = summed[:MONOMIALS] - average[:MONOMIALS]
        steepness = _steepness(n, f, now, moves, tiles, places)
        step = scale * max(limit - reached, 0.02) / max(steepness, 1e-3)
        raise_prices(n, f, now, tiles, places, min(step, 0.3))
        _follow(a, picks.taken, min(max(step, 0.02), 0.5))
        total(f, a.mean, average)
        hurry(goal, now, average[:MONOMIALS], HASTE)
    return top


@njit(cache=True)
def _follow(a: Ascent, taken: Floats, share: float) -> None:
    """Lets the means follow what was taken last."""
    for axis in range(6):
        for c in range(TAKEN):
            move = taken[axis, c] - a.mean[axis, c]
            a.mean[axis, c] += share * move
            a.swing[axis, c] += share * (abs(move) - a.swing[axis, c])


@njit(cache=True)
def _keep(n: Numbers, f: Form, goal: Goal, picks: Picks, summed: Floats, a: Ascent) -> None:
    """Writes down the nest of the best options if it fits and is lower than those before."""
    places = summed[PLACES:]
    if places[0] > np.log(n.x) + 1e-9 or places[1] > np.log(n.y) + 1e-9:
        return
    if all_fit(n, f, summed[MONOMIALS:PLACES], 0):
        energy, cycles = value(goal, summed[:MONOMIALS])
        found = objective(goal, energy, cycles)
        if found < a.value[0]:
            a.value[0] = found
            a.leaf[:] = picks.leaf


@njit(cache=True)
def _copied(w: Weights) -> Weights:
    return Weights(w.theta.copy(), w.tiles.copy(), w.places.copy(), w.busy.copy())


@njit(cache=True)
def _copy(source: Weights, to: Weights) -> None:
    to.theta[:], to.tiles[:], to.places[:] = source.theta, source.tiles, source.places
    to.busy[:] = source.busy


@njit(cache=True)
def _steepness(
    n: Numbers, f: Form, w: Weights, moves: Floats, tiles: Floats, places: Floats
) -> Any:
    """The square of the gradient of the bound in prices, and in weights of monomials."""
    found = (places[0] - np.log(n.x)) ** 2 + (places[1] - np.log(n.y)) ** 2
    for memory in range(n.room.size):
        use = _use(n, f, memory, tiles)
        if use > 0:
            found += np.log(use) ** 2
    for m in range(MONOMIALS):
        found += w.theta[m] * moves[m] ** 2
    return found
