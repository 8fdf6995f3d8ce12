"""A lower bound on a structure's objective, by Lagrangian relaxation in the logarithms.

Energy is a sum of monomials: products, over the axes, of how often a loop nest sends tiles. By the
inequality of arithmetic and geometric means

    log(sum a_m M_m) >= sum w_m log(a_m M_m / w_m)      for any w >= 0 that sum to one,

and tiles that fill a memory and places that fill the array obey log(use) <= 0 likewise, at any
price. What remains is a sum over the axes, each of which has few options. The bound holds for any
weights and prices; `hwsim.search.master` finds good ones.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.master import Goal, Mixture, describe, fade, keep, mixture
from hwsim.search.outer import BIG, Scratch
from hwsim.search.pool import Pool
from hwsim.search.problem import MONOMIALS, TILES, Form, Numbers
from hwsim.search.scores import LEAF, PLACES, TAKEN, Picks, Weights, no_picks, price_all, total
from hwsim.search.shares import settle_shares
from hwsim.search.tables import Tables

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


# How fast prices grow with what is overfull, at first and at most.
FIRM, FIRMEST = 0.05, 2.0
# Rounds in which a bound should rise by so much, or else it is as high as it gets.
PATIENCE, RISE = 6, 5e-4
# Columns of an axis that are tried together with those of others.
LIKELY = 3

# What a nest comes to


@compiled()
def value(goal: Goal, logs: Floats) -> Any:
    """(energy in pJ, cycles) of given logarithms of monomials: no more than a nest's."""
    visits = np.exp(logs)
    energy, cycles = _spent(goal, visits), 0.0
    for r in range(goal.busy_const.size):
        cycles = max(cycles, _load(goal, r, visits))
    return energy + goal.clock * cycles, cycles


@compiled(allocates=False)
def objective(goal: Goal, energy: float, cycles: float) -> Any:
    """What is minimised, of energy and cycles."""
    return energy ** goal.powers[0] * cycles ** goal.powers[1]


@compiled(allocates=False)
def _spent(goal: Goal, visits: Floats) -> Any:
    """Energy in pJ but for that of cycles."""
    energy = goal.energy_const
    for m in range(MONOMIALS):
        if goal.energy[m] > 0:
            energy += goal.energy[m] * visits[m]
    return energy


@compiled(allocates=False)
def _load(goal: Goal, r: int, visits: Floats) -> Any:
    """Cycles for which a resource is busy."""
    load = goal.busy_const[r]
    for m in range(MONOMIALS):
        if goal.busy[r, m] > 0:
            load += goal.busy[r, m] * visits[m]
    return load


# What fits


@compiled(allocates=False)
def all_fit(n: Numbers, f: Form, tiles: Floats, first: int) -> Any:
    """Whether every memory holds the tiles from number `first` on."""
    memory = 0
    while memory < n.room.size and not _overfull(n, f, tiles, memory, first):
        memory += 1
    return memory == n.room.size


@compiled(allocates=False)
def _overfull(n: Numbers, f: Form, tiles: Floats, memory: int, first: int) -> Any:
    """Whether a memory cannot hold the tiles from number `first` on."""
    used = 0.0
    for t in range(first, TILES):
        if f.memory[t] == memory:
            used += f.bits[t] * np.exp(tiles[t])
    return used > n.room[memory] * (1 + 1e-9)


# Weights where the bound is highest


@compiled()
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


@compiled()
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


@compiled(allocates=False)
def _use(n: Numbers, f: Form, memory: int, tiles: Floats) -> Any:
    """The share of a memory that tiles of given logarithms fill."""
    use = 0.0
    for t in range(TILES):
        if f.memory[t] == memory:
            use += f.bits[t] * np.exp(tiles[t]) / n.room[memory]
    return use


@compiled(allocates=False)
def _price(f: Form, memory: int, w: Weights) -> Any:
    """The price of a memory: of all tiles in it together."""
    price = 0.0
    for t in range(TILES):
        if f.memory[t] == memory:
            price += w.tiles[t]
    return price


@compiled()
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


# The bound


class Ascent(NamedTuple):
    """How far a bound was raised: `weights` where it is highest and `const` [1], its part that no
    option changes; the best options of late, `mixture`, what they take [axis, TAKEN] on the `mean`
    and how far it wavers, `swing`; `firm` [1], how fast prices grow. `leaf` [axis, LEAF]: the
    lowest nest seen that fits, of `value` [1]."""

    weights: Weights
    const: Floats
    mixture: Mixture
    mean: Floats
    swing: Floats
    firm: Floats
    leaf: Ints
    value: Floats


def _weights(goal: Goal) -> Weights:
    """Those that nothing is known of yet."""
    count = goal.busy_const.size
    busy = np.full(count, 1 / max(count, 1))
    return Weights(np.zeros(MONOMIALS), np.zeros(TILES), np.zeros(2), busy)


def ascent(goal: Goal) -> Ascent:
    """One that has not begun."""
    start = _weights(goal)
    mean, swing = np.zeros((6, TAKEN)), np.zeros((6, TAKEN))
    leaf = np.zeros((6, LEAF), np.int64)
    return Ascent(
        start, np.full(1, -BIG), mixture(), mean, swing, np.full(1, FIRM), leaf, np.zeros(1)
    )


def copied(a: Ascent) -> Ascent:
    """One to go on with apart."""
    return Ascent(*(_copied(own) for own in a))


def _copied(own: Any) -> Any:
    """A copy of an array, or of several."""
    return own.copy() if isinstance(own, np.ndarray) else type(own)(*map(np.copy, own))


class Desk(NamedTuple):
    """Room for a round: what is picked, weights, logarithms of the mixture and of the picks
    [TAKEN]."""

    picks: Picks
    now: Weights
    logs: Floats
    summed: Floats


def desk_of(goal: Goal) -> Desk:
    """Room for the rounds of a structure."""
    return Desk(no_picks(), _weights(goal), np.zeros(TAKEN), np.zeros(TAKEN))


@compiled(allocates=False)
def bound(
    n: Numbers,
    f: Form,
    goal: Goal,
    t: Tables,
    p: Pool,
    a: Ascent,
    s: Scratch,
    desk: Desk,
    limit: float,
    rounds: int,
) -> Any:
    """(the best bound found, as log(objective), rounds that it took), `a` gone on with; stops above
    `limit`, and where it rises no more."""
    picks, now, logs, summed = desk
    top, high, since, done = -BIG, -BIG, 0, 0
    if a.const[0] > -BIG:
        priced = price_all(n, f, t, p, a.weights, s, picks)
        if priced >= BIG:
            return BIG, done
        top = a.const[0] + priced
        keep(f, a.mixture, picks)
    while done < rounds and top <= limit and since < PATIENCE:
        done += 1
        settle_shares(n, f, goal, a.weights, a.firm[0], a.mixture, now, logs)
        const = settle(n, f, goal, now, logs[:MONOMIALS], logs[MONOMIALS:PLACES])
        priced = price_all(n, f, t, p, now, s, picks)
        if priced >= BIG:
            return BIG, done
        reached = priced + const
        total(f, picks.taken, summed)
        _keep(n, f, goal, picks.leaf, summed, a)
        keep(f, a.mixture, picks)
        fade(a.mixture)
        a.firm[0] = min(a.firm[0] * 1.5, FIRMEST) if reached > top else a.firm[0] * 0.7
        if reached > top:
            top, a.const[0] = reached, const
            _copy(now, a.weights)
        since += 1
        if top > high + RISE:
            high, since = top, 0
    describe(f, a.mixture, a.mean, a.swing)
    _combine(n, f, goal, a)
    return top, done


@compiled()
def _combine(n: Numbers, f: Form, goal: Goal, a: Ascent) -> None:
    """Tries nests of the options and chains that the mixture has most of."""
    x, nests = a.mixture, 1
    likely, counts = np.zeros((6, LIKELY), np.int64), np.zeros(6, np.int64)
    for axis in range(6):
        order = np.argsort(-x.shares[axis, : x.counts[axis]], kind="mergesort")[:LIKELY]
        for c in order:
            if x.shares[axis, c] > 0:
                likely[axis, counts[axis]] = c
                counts[axis] += 1
        nests *= counts[axis]
    summed, leaf = np.zeros(TAKEN), np.zeros((6, LEAF), np.int64)
    for number in range(nests):
        summed[:], rest = 0.0, number
        for axis in range(6):
            c = likely[axis, rest % counts[axis]]
            rest //= counts[axis]
            summed += x.taken[axis, c]
            leaf[axis] = x.leaves[axis, c]
        _keep(n, f, goal, leaf, summed, a)


@compiled()
def _keep(n: Numbers, f: Form, goal: Goal, leaf: Ints, summed: Floats, a: Ascent) -> None:
    """Writes down a nest if it fits and is lower than those before."""
    places = summed[PLACES:]
    if places[0] > np.log(n.x) + 1e-9 or places[1] > np.log(n.y) + 1e-9:
        return
    if all_fit(n, f, summed[MONOMIALS:PLACES], 0):
        energy, cycles = value(goal, summed[:MONOMIALS])
        found = objective(goal, energy, cycles)
        if found < a.value[0]:
            a.value[0] = found
            a.leaf[:] = leaf


@compiled()
def _copy(source: Weights, to: Weights) -> None:
    to.theta[:], to.tiles[:], to.places[:] = source.theta, source.tiles, source.places
    to.busy[:] = source.busy
