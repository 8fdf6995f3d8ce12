"""The least mixture of options: shares moved from one to another until none is worth moving.

What a mixture comes to depends on a few logarithms alone, the terms: of monomials that cost
anything, of tiles that lie in a memory, and of places. Only these are gone through here, all
columns of all axes side by side.
"""

from typing import Any, NamedTuple

import numpy as np

from hwsim._compiled import compiled
from hwsim.search.master import COLUMNS, Floats, Goal, Ints, Mixture, add, mixed
from hwsim.search.problem import MONOMIALS, TILES, Form, Numbers
from hwsim.search.scores import PLACES, TAKEN, Weights

# Moves of shares from one to another in a round, and what is too little to be worth one.
MOVES, LITTLE = 60, 1e-4
# Steps of the search for where a move hardly slopes any more: so much as at first.
STEPS, FLAT = 6, 0.3
# A share below which none is left.
NOTHING = 1e-9
ROOM = 6 * COLUMNS


class Terms(NamedTuple):
    """What the objective depends on, and room for what it comes to.

    `columns` [term] of TAKEN: `monomials` of these first, then tiles, the last two places; `term`
    [TAKEN]: their numbers, -1 for other columns.
    `energy` [monomial] and `busy` [resource, monomial] as in Goal, `busier` [monomial, resource]
    its transpose; `scale` [tile]: the share of its memory that one element fills; `memory` [tile].
    `prices` [memory] and `places` [2] are known already, and rise by `firm` a logarithm; `limits`
    [2]: logarithms of places. `slopes` [term], `shares` [resource]: of the objective, when
    `_descend` has been there; `visits` [monomial], `loads` [resource], `used` [memory] and `scores`
    [axis * COLUMNS + column]: room.
    """

    columns: Ints
    term: Ints
    monomials: int
    energy: Floats
    busy: Floats
    busier: Floats
    scale: Floats
    memory: Ints
    prices: Floats
    places: Floats
    limits: Floats
    firm: float
    slopes: Floats
    shares: Floats
    visits: Floats
    loads: Floats
    used: Floats
    scores: Floats


@compiled()
def settle_shares(
    n: Numbers,
    f: Form,
    goal: Goal,
    near: Weights,
    firm: float,
    x: Mixture,
    w: Weights,
    logs: Floats,
) -> None:
    """Moves shares to what costs least, and leaves its weights in `w`, what the mixture takes in
    `logs`.

    Memories and places that are overfull cost `firm` for each logarithm beyond the prices of
    `near`, whose resources are preferred.
    """
    t = terms(n, f, goal, near, firm)
    mixed(f, x, logs)
    at, taken = logs[t.columns], _gathered(x, t.columns)
    _descend(goal, near, t, at)
    for _ in range(MOVES):
        axis, worse, better = _pair(x, t, taken)
        if axis < 0:
            break
        first = axis * COLUMNS
        way = (1.0 - x.faith[axis]) * (taken[:, first + better] - taken[:, first + worse])
        step = _step(goal, near, t, at, way, x.shares[axis, worse])
        x.shares[axis, better] += step
        x.shares[axis, worse] -= step
        if x.shares[axis, worse] < NOTHING:
            x.shares[axis, worse] = 0.0
    _write(t, w)
    mixed(f, x, logs)


@compiled()
def terms(n: Numbers, f: Form, goal: Goal, near: Weights, firm: float) -> Terms:
    """The terms of a structure."""
    resources, memories = goal.busy_const.size, n.room.size
    columns, monomials = np.empty(TAKEN, np.int64), 0
    for m in range(MONOMIALS):
        if goal.energy[m] > 0 or np.any(goal.busy[:, m] > 0):
            columns[monomials] = m
            monomials += 1
    count, prices = monomials, np.zeros(memories)
    scale, memory = np.zeros(TILES), np.zeros(TILES, np.int64)
    for t in range(TILES):
        if f.memory[t] >= 0:
            columns[count] = MONOMIALS + t
            memory[count - monomials] = f.memory[t]
            scale[count - monomials] = f.bits[t] / n.room[f.memory[t]]
            prices[f.memory[t]] += near.tiles[t]
            count += 1
    columns[count], columns[count + 1] = PLACES, PLACES + 1
    used, term = columns[:monomials], np.full(TAKEN, -1)
    for at in range(count + 2):
        term[columns[at]] = at
    busy = np.empty((resources, monomials))
    for r in range(resources):
        busy[r] = goal.busy[r][used]
    return Terms(
        columns[: count + 2],
        term,
        monomials,
        goal.energy[used],
        busy,
        np.ascontiguousarray(busy.T),
        scale[: count - monomials],
        memory[: count - monomials],
        prices,
        near.places,
        np.log(np.array([n.x, n.y])),
        firm,
        np.empty(count + 2),
        np.empty(resources),
        np.empty(monomials),
        np.empty(resources),
        np.empty(memories),
        np.empty(ROOM),
    )


@compiled()
def _gathered(x: Mixture, columns: Ints) -> Floats:
    """What is kept of all axes takes [term, axis * COLUMNS + column]."""
    taken = np.zeros((columns.size, ROOM))
    for axis in range(6):
        for c in range(x.counts[axis]):
            for term in range(columns.size):
                taken[term, axis * COLUMNS + c] = x.taken[axis, c, columns[term]]
    return taken


@compiled(allocates=False)
def _descend(goal: Goal, near: Weights, t: Terms, at: Floats) -> None:
    """Fills in slopes and shares where the terms' logarithms are `at`."""
    count, resources = t.monomials, t.shares.size
    visits, cycles = t.visits, 0.0
    for m in range(count):
        t.slopes[m], visits[m] = 0.0, np.exp(at[m])
    if resources:
        cycles = _longest(goal, near, t)
        for r in range(resources):
            share = t.shares[r] / cycles
            for m in range(count):
                t.slopes[m] += share * t.busy[r, m]
    energy = goal.energy_const + goal.clock * cycles
    for m in range(count):
        energy += t.energy[m] * visits[m]
    each = goal.powers[0] / energy if goal.powers[0] > 0 else 0.0
    rushed = goal.powers[1] + each * goal.clock * cycles
    for m in range(count):
        t.slopes[m] = (rushed * t.slopes[m] + each * t.energy[m]) * visits[m]
    _fill(t, at)


@compiled(allocates=False)
def _longest(goal: Goal, near: Weights, t: Terms) -> Any:
    """Cycles of the resources as they weigh, and the shares of each of them."""
    loads, top, total, cycles = t.loads, 0.0, 0.0, 0.0
    for r in range(loads.size):
        loads[r] = goal.busy_const[r]
    for m in range(t.monomials):
        for r in range(loads.size):
            loads[r] += t.busier[m, r] * t.visits[m]
    for r in range(loads.size):
        top = max(top, loads[r])
    for r in range(loads.size):
        haste = loads[r] / top
        haste *= haste
        haste *= haste
        haste *= haste
        t.shares[r] = max(near.busy[r], 1e-4) * haste / max(loads[r], 1e-300)
        total += t.shares[r]
    for r in range(loads.size):
        t.shares[r] /= total
        cycles += t.shares[r] * loads[r]
    return cycles


@compiled(allocates=False)
def _fill(t: Terms, at: Floats) -> None:
    """Fills in the slopes of tiles and places: prices of memories, shared by what fills them."""
    use = t.used
    for memory in range(use.size):
        use[memory] = 0.0
    for tile in range(t.scale.size):
        own = t.scale[tile] * np.exp(at[t.monomials + tile])
        t.slopes[t.monomials + tile] = own
        use[t.memory[tile]] += own
    for memory in range(use.size):
        if use[memory] > 0:
            price = max(0.0, t.prices[memory] + t.firm * np.log(use[memory]))
            use[memory] = price / use[memory]
    for tile in range(t.scale.size):
        t.slopes[t.monomials + tile] *= use[t.memory[tile]]
    last = t.monomials + t.scale.size
    for k in range(2):
        over = at[last + k] - t.limits[k]
        t.slopes[last + k] = max(0.0, t.places[k] + t.firm * over)


@compiled(allocates=False)
def _pair(x: Mixture, t: Terms, taken: Floats) -> Any:
    """(axis, column, column) of the share that is worth most to move, and where to; or axis -1."""
    scores = t.scores
    for c in range(ROOM):
        scores[c] = 0.0
    for term in range(t.slopes.size):
        for c in range(ROOM):
            scores[c] += t.slopes[term] * taken[term, c]
    found, most = (-1, 0, 0), LITTLE
    for axis in range(6):
        if x.counts[axis] < 2 or x.faith[axis] >= 1.0:
            continue
        worst, least, worse, better = -1e300, 1e300, 0, 0
        for c in range(x.counts[axis]):
            score = scores[axis * COLUMNS + c]
            if score < least:
                least, better = score, c
            if x.shares[axis, c] > 0 and score > worst:
                worst, worse = score, c
        gain = (worst - least) * (1.0 - x.faith[axis])
        if gain > most:
            most, found = gain, (axis, worse, better)
    return found


@compiled(allocates=False)
def _step(goal: Goal, near: Weights, t: Terms, at: Floats, way: Floats, most: float) -> Any:
    """Goes `at` along a way, to where it hardly slopes any more, or to the end; how far that is."""
    low, high, down = 0.0, most, -_along(t, way)
    flat, now = FLAT * down, most
    add(at, now, way)
    _descend(goal, near, t, at)
    up = _along(t, way)
    if up <= flat:
        return now
    for _ in range(STEPS):
        then = low + (high - low) * down / (down + up)
        add(at, then - now, way)
        now = then
        _descend(goal, near, t, at)
        slope = _along(t, way)
        if abs(slope) < flat:
            break
        if slope <= 0:
            low, down, up = now, -slope, up / 2
        else:
            high, down, up = now, down / 2, slope
    return now


@compiled(allocates=False)
def _along(t: Terms, way: Floats) -> Any:
    """The slope along a way [term]."""
    found = 0.0
    for term in range(way.size):
        found += t.slopes[term] * way[term]
    return found


@compiled(allocates=False)
def _write(t: Terms, w: Weights) -> None:
    """Writes the slopes down as weights."""
    w.theta[:], w.tiles[:] = 0.0, 0.0
    for r in range(t.shares.size):
        w.busy[r] = t.shares[r]
    for term in range(t.columns.size - 2):
        column = t.columns[term]
        if column < MONOMIALS:
            w.theta[column] = t.slopes[term]
        else:
            w.tiles[column - MONOMIALS] = t.slopes[term]
    for k in range(2):
        w.places[k] = t.slopes[t.columns.size - 2 + k]
