"""Mixtures of options: the convex problem whose least value the relaxation's bounds rise to.

The best bound of `hwsim.search.dual` is the least objective of all mixtures of options and chains,
one mixture an axis. Those that were the best at some weights are kept, and the least mixture of
these alone gives the next weights: Dantzig and Wolfe's decomposition. Memories and places that are
overfull cost by how much they are, around the best prices known (an augmented Lagrangian), and so
do resources that are the busiest; so weights move only as far as what is kept can tell.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.problem import MONOMIALS, RISEN, TILES, Form, Numbers
from hwsim.search.scores import LEAF, PLACES, TAKEN, Picks, Weights
from hwsim.search.ways import IFMAP

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Options and chains of an axis that are kept.
COLUMNS = 16
# Moves of shares from one to another in a round, and what is too little to be worth one.
MOVES, LITTLE = 60, 1e-4
# What resources are preferred by as their cycles grow, as a power.
HASTE = 8.0
# What an axis starts from weighs so much less each round, until it is dropped.
FADING, FADED = 0.5, 0.1


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


class Mixture(NamedTuple):
    """What was best at some weights: `taken` [axis, column, TAKEN], as monomials have it, and how
    it is written down, `leaves` [axis, column, LEAF]; `counts` [axis]; `shares` [axis, column] of
    the mixture. `start` [axis, TAKEN] weighs `faith` [axis], and what is kept the rest."""

    taken: Floats
    leaves: Ints
    counts: Ints
    shares: Floats
    start: Floats
    faith: Floats


def mixture() -> Mixture:
    """One that knows nothing yet."""
    return Mixture(
        np.zeros((6, COLUMNS, TAKEN)),
        np.zeros((6, COLUMNS, LEAF), np.int64),
        np.zeros(6, np.int64),
        np.zeros((6, COLUMNS)),
        np.zeros((6, TAKEN)),
        np.ones(6),
    )


@compiled()
def is_twice(f: Form, axis: int) -> Any:
    """Whether visits to a pad that rose count in the sum over places too."""
    return f.risen >= 0 and not (axis < 2 and f.tensors[f.risen] == IFMAP)


@compiled()
def keep(f: Form, x: Mixture, picks: Picks) -> None:
    """Adds the picks that are new, in place of what has the least share if there is no room."""
    for axis in range(6):
        own = picks.taken[axis].copy()
        if is_twice(f, axis):
            own[RISEN] += own[f.risen]
        count = x.counts[axis]
        known: Any = False
        for c in range(count):
            known |= np.all(np.abs(x.taken[axis, c] - own) < 1e-9)
        if known:
            continue
        at = count
        if count == COLUMNS:
            at = int(np.argmin(x.shares[axis]))
        else:
            x.counts[axis] += 1
            x.shares[axis, at] = 1.0 if count == 0 else 0.0
        x.taken[axis, at], x.leaves[axis, at] = own, picks.leaf[axis]


@compiled()
def forget(x: Mixture, axis: int, mean: Floats) -> None:
    """Drops what is kept of an axis, which starts from a mean again."""
    x.counts[axis], x.faith[axis], x.shares[axis] = 0, 1.0, 0.0
    x.start[axis] = mean


@compiled()
def mixed(f: Form, x: Mixture, logs: Floats) -> None:
    """What the mixture takes [TAKEN]."""
    logs[:] = 0.0
    for axis in range(6):
        faith = x.faith[axis] if x.counts[axis] else 1.0
        if faith > 0:
            logs += faith * x.start[axis]
            if is_twice(f, axis):
                logs[RISEN] += faith * x.start[axis, f.risen]
        for c in range(x.counts[axis]):
            if x.shares[axis, c] > 0:
                logs += (1 - faith) * x.shares[axis, c] * x.taken[axis, c]


@compiled()
def describe(f: Form, x: Mixture, mean: Floats, swing: Floats) -> None:
    """Fills in what the axes take on the mean [axis, TAKEN], and how far it wavers."""
    for axis in range(6):
        if x.counts[axis] == 0:
            continue
        mean[axis], swing[axis] = 0.0, 0.0
        for c in range(x.counts[axis]):
            mean[axis] += x.shares[axis, c] * x.taken[axis, c]
        for c in range(x.counts[axis]):
            swing[axis] += x.shares[axis, c] * np.abs(x.taken[axis, c] - mean[axis])
        if is_twice(f, axis):
            mean[axis, RISEN] -= mean[axis, f.risen]


@compiled()
def slopes(
    n: Numbers, f: Form, goal: Goal, near: Weights, firm: float, logs: Floats, w: Weights
) -> Any:
    """The weights `w` that a mixture asks for, near those known: slopes of the objective, of prices
    of what is overfull, and the shares of resources."""
    cycles, energy = 0.0, goal.energy_const
    w.theta[:] = 0.0
    visits = np.exp(logs[:MONOMIALS])
    count = goal.busy_const.size
    if count:
        cycles = _longest(goal, near, visits, w)
    for m in range(MONOMIALS):
        energy += goal.energy[m] * visits[m]
    energy += goal.clock * cycles
    rushed = float(goal.powers[1])
    if goal.powers[0] > 0:
        rushed += goal.powers[0] * goal.clock * cycles / energy
        for m in range(MONOMIALS):
            w.theta[m] += goal.powers[0] * goal.energy[m] * visits[m] / energy
    for r in range(count):
        for m in range(MONOMIALS):
            w.theta[m] += rushed * w.busy[r] / cycles * goal.busy[r, m] * visits[m]
    _prices(n, f, near, firm, logs, w)


@compiled()
def _longest(goal: Goal, near: Weights, visits: Floats, w: Weights) -> Any:
    """Cycles of the resources as they weigh, and the shares of each of them."""
    count, total, top = goal.busy_const.size, 0.0, 0.0
    loads = np.empty(count)
    for r in range(count):
        loads[r] = goal.busy_const[r]
        for m in range(MONOMIALS):
            loads[r] += goal.busy[r, m] * visits[m]
        top = max(top, loads[r])
    for r in range(count):
        w.busy[r] = max(near.busy[r], 1e-4) * (loads[r] / top) ** HASTE / max(loads[r], 1e-300)
        total += w.busy[r]
    cycles = 0.0
    for r in range(count):
        w.busy[r] /= total
        cycles += w.busy[r] * loads[r]
    return cycles


@compiled()
def _prices(n: Numbers, f: Form, near: Weights, firm: float, logs: Floats, w: Weights) -> None:
    """The prices of memories and places."""
    w.tiles[:] = 0.0
    for memory in range(n.room.size):
        use, price = 0.0, 0.0
        for t in range(TILES):
            if f.memory[t] == memory:
                w.tiles[t] = f.bits[t] * np.exp(logs[MONOMIALS + t]) / n.room[memory]
                use += w.tiles[t]
                price += near.tiles[t]
        if use > 0:
            price = max(0.0, price + firm * np.log(use))
            for t in range(TILES):
                if f.memory[t] == memory:
                    w.tiles[t] *= price / use
    w.places[0] = max(0.0, near.places[0] + firm * (logs[PLACES] - np.log(n.x)))
    w.places[1] = max(0.0, near.places[1] + firm * (logs[PLACES + 1] - np.log(n.y)))


@compiled()
def _along(w: Weights, way: Floats) -> Any:
    """The slope along a way [TAKEN]."""
    found = w.places[0] * way[PLACES] + w.places[1] * way[PLACES + 1]
    for m in range(MONOMIALS):
        found += w.theta[m] * way[m]
    for t in range(TILES):
        found += w.tiles[t] * way[MONOMIALS + t]
    return found


@compiled()
def settle_shares(
    n: Numbers, f: Form, goal: Goal, near: Weights, firm: float, x: Mixture, w: Weights
) -> Any:
    """Moves shares to what costs least, and leaves its weights in `w`; what the mixture takes."""
    logs = np.empty(TAKEN)
    mixed(f, x, logs)
    slopes(n, f, goal, near, firm, logs, w)
    for _ in range(MOVES):
        axis, worse, better = _pair(x, w)
        if axis < 0:
            break
        way = (1.0 - x.faith[axis]) * (x.taken[axis, better] - x.taken[axis, worse])
        step = _step(n, f, goal, near, firm, logs, way, x.shares[axis, worse], w)
        logs += step * way
        slopes(n, f, goal, near, firm, logs, w)
        x.shares[axis, better] += step
        x.shares[axis, worse] -= step
        if x.shares[axis, worse] < 1e-9:
            x.shares[axis, worse] = 0.0
    return logs


@compiled()
def _step(
    n: Numbers,
    f: Form,
    goal: Goal,
    near: Weights,
    firm: float,
    logs: Floats,
    way: Floats,
    most: float,
    w: Weights,
) -> Any:
    """How far to go along a way: to where it slopes no more, or to the end."""
    low, high, down = 0.0, most, -_along(w, way)
    slopes(n, f, goal, near, firm, logs + most * way, w)
    up = _along(w, way)
    if up <= 0:
        return most
    for _ in range(4):
        at = low + (high - low) * down / (down + up)
        slopes(n, f, goal, near, firm, logs + at * way, w)
        slope = _along(w, way)
        if slope <= 0:
            low, down, up = at, -slope, up / 2
        else:
            high, down, up = at, down / 2, slope
        if abs(slope) < LITTLE:
            return at
    return low if low > 0 else high


@compiled()
def _pair(x: Mixture, w: Weights) -> Any:
    """(axis, column, column) of the share that is worth most to move, and where to; or axis -1."""
    found, most = (-1, 0, 0), LITTLE
    for axis in range(6):
        if x.counts[axis] < 2 or x.faith[axis] >= 1.0:
            continue
        worst, least, worse, better = -1e300, 1e300, 0, 0
        for c in range(x.counts[axis]):
            score = _along(w, x.taken[axis, c])
            if score < least:
                least, better = score, c
            if x.shares[axis, c] > 0 and score > worst:
                worst, worse = score, c
        gain = (worst - least) * (1.0 - x.faith[axis])
        if gain > most:
            most, found = gain, (axis, worse, better)
    return found


@compiled()
def fade(x: Mixture) -> None:
    """Lets what axes start from weigh less."""
    for axis in range(6):
        if x.counts[axis]:
            x.faith[axis] *= FADING
            if x.faith[axis] < FADED:
                x.faith[axis] = 0.0
