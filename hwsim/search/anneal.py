"""Good nests of a structure, by simulated annealing in the model of the search.

A nest is an option, a way to split its places and a chain of tiles above the array for every axis.
A move changes one axis or the options of two, as places that one has are taken from another:
options that the relaxation likes come more often. What does not fit costs by how much it is too
large (Kirkpatrick, Gelatt and Vecchi, "Optimization by Simulated Annealing", Science 1983). Nothing
is proved here: found nests are what bounds are compared with.
"""

from typing import Any

import numpy as np

from hwsim._compiled import compiled
from hwsim.search.choices import Choices, State, begin, choices_of, copy, mend, state, take, write
from hwsim.search.dual import Ascent, objective
from hwsim.search.master import Floats, Goal
from hwsim.search.outer import Scratch
from hwsim.search.pool import Flags, Pool
from hwsim.search.problem import Form, Numbers
from hwsim.search.scores import score_all
from hwsim.search.shares import Terms, terms
from hwsim.search.tables import Tables

# Temperatures, in logarithms of the objective, and what a logarithm of too much costs.
HOT, COLD, PENALTY = 0.15, 0.01, 2.0
# What may be too much by rounding, as a logarithm.
ROUNDING = 1e-9
# Moves that change tiles above the array, of which those to the next tile; the others change what
# goes on within, of two axes so often.
ABOVE, NEXT, BOTH = 0.5, 0.3, 0.5


@compiled()
def anneal(
    n: Numbers,
    f: Form,
    goal: Goal,
    t: Tables,
    p: Pool,
    a: Ascent,
    s: Scratch,
    moves: int,
    seed: int,
) -> None:
    """Tries so many moves, and leaves the lowest nest that fits in `a`, if any does."""
    score_all(n, f, t, p, a.weights, s)
    known = terms(n, f, goal, a.weights, 0.0)
    c = choices_of(n, known, p, s)
    best = state(known.columns.size)
    a.value[0] = np.exp(walked(n, f, goal, known, t, c, p.barred, moves, best, seed))
    if a.value[0] < np.inf:
        write(f, c, best, a.leaf)


@compiled()
def walked(
    n: Numbers,
    f: Form,
    goal: Goal,
    t: Terms,
    tables: Tables,
    c: Choices,
    barred: Flags,
    moves: int,
    best: State,
    seed: int,
) -> Any:
    """The logarithm of the lowest value that is found, infinite if nothing fits, and into `best`
    the nest that has it."""
    np.random.seed(seed)
    size = t.columns.size
    now, new = state(size), state(size)
    for axis in range(6):
        now.row[axis] = c.starts[axis]
        begin(n, f, t, tables, c, axis, now)
        copy(axis, now, new)
    at, then, room = now.taken.sum(axis=0), np.empty(size), np.empty(goal.busy_const.size)
    above, within = _sites(n, f, tables, c)
    lowest, cost = np.inf, np.inf
    heat, cooling = HOT, (COLD / HOT) ** (1 / moves)
    for _ in range(moves):
        heat *= cooling
        sites = above if np.random.random() < ABOVE else within
        if sites.shape[0] == 0:
            continue
        site, other = np.random.randint(sites.shape[0]), np.random.randint(sites.shape[0])
        axis, dim, also = sites[site, 0], sites[site, 1], sites[other, 0]
        if dim >= 0 or np.random.random() >= BOTH:
            also = axis
        fine = _changed(n, f, tables, c, barred, axis, dim, new)
        if also != axis:
            fine = fine and _changed(n, f, tables, c, barred, also, -1, new)
        if fine:
            _add(n, f, t, tables, c, axis, also, now, new, at, then)
            value, over = _value(goal, t, then, room), _over(t, then)
            reached = value + PENALTY * over
            fine = reached <= cost or np.random.random() < np.exp((cost - reached) / heat)
        if not fine:
            copy(axis, now, new)
            copy(also, now, new)
            continue
        copy(axis, new, now)
        copy(also, new, now)
        at[:], cost = then, reached
        if value < lowest and over <= ROUNDING:
            lowest = value
            for k in range(6):
                copy(k, now, best)
    return lowest


@compiled(inline=True)
def _add(
    n: Numbers,
    f: Form,
    t: Terms,
    tables: Tables,
    c: Choices,
    axis: int,
    also: int,
    now: State,
    new: State,
    at: Floats,
    then: Floats,
) -> None:
    """Adds up the terms after a change of one axis or two."""
    take(n, f, t, tables, c, axis, new)
    if also != axis:
        take(n, f, t, tables, c, also, new)
    for k in range(at.size):
        then[k] = at[k] - now.taken[axis, k] + new.taken[axis, k]
        if also != axis:
            then[k] += new.taken[also, k] - now.taken[also, k]


@compiled()
def _sites(n: Numbers, f: Form, t: Tables, c: Choices) -> Any:
    """What can change: rows (axis, dimension of it) of tiles above the array, and rows (axis, -1)
    of options."""
    above, within = np.full((12, 2), -1, np.int64), np.full((6, 2), -1, np.int64)
    tiles = choices = 0
    for axis in range(6):
        if c.starts[axis + 1] > c.starts[axis] + 1 or t.split_counts[c.spread[c.starts[axis]]] > 1:
            within[choices, 0] = axis
            choices += 1
        for dim in range(2):
            d = n.first[axis] if dim == 0 else n.second[axis]
            if f.tensors.size and d >= 0 and n.counts[d] > 1:
                above[tiles] = axis, dim
                tiles += 1
    return above[:tiles], within[:choices]


@compiled(inline=True)
def _changed(
    n: Numbers, f: Form, t: Tables, c: Choices, barred: Flags, axis: int, dim: int, s: State
) -> bool:
    """Changes an axis at random; whether that leaves something that it may have."""
    stores = f.tensors.size
    if dim >= 0:
        d = n.first[axis] if dim == 0 else n.second[axis]
        store = 1 + np.random.randint(stores)
        s.tiles[axis, store, dim] = _other(s.tiles[axis, store, dim], n.counts[d])
        for k in range(store + 1, stores + 1):
            before = s.tiles[axis, k - 1, dim]
            if s.tiles[axis, k, dim] < before or not f.masks[k - 1, d]:
                s.tiles[axis, k, dim] = before
    else:
        count = c.starts[axis + 1] - c.starts[axis]
        row = c.starts[axis] + int((count + 1.0) ** np.random.random()) - 1
        s.row[axis] = row
        s.split[axis] = np.random.randint(t.split_counts[c.spread[row]])
    for k in range(2):
        d, least = n.first[axis] if k == 0 else n.second[axis], c.key[s.row[axis], k]
        if s.tiles[axis, stores, k] > least or (d >= 0 and not f.masks[stores, d]):
            s.tiles[axis, stores, k] = least
    return mend(n, f, axis, s) and not _barred(f, barred, axis, s)


@compiled(inline=True)
def _barred(f: Form, barred: Flags, axis: int, s: State) -> bool:
    """Whether a store above the array has tiles that are left out."""
    found = False
    for k in range(f.tensors.size):
        found |= barred[axis, k, s.tiles[axis, k + 1, 0], s.tiles[axis, k + 1, 1]]
    return found


@compiled(inline=True)
def _other(number: int, count: int) -> Any:
    """Another number of a tile: the next one either way, or any."""
    chance = np.random.random()
    if chance < NEXT:
        return min(number + 1, count - 1) if chance < NEXT / 2 else max(number - 1, 0)
    return np.random.randint(count)


@compiled(inline=True)
def _value(goal: Goal, t: Terms, at: Floats, loads: Floats) -> Any:
    """The logarithm of the objective; `loads` is room for those of the resources."""
    energy, cycles = goal.energy_const, 0.0
    for r in range(loads.size):
        loads[r] = goal.busy_const[r]
    for m in range(t.monomials):
        visited = np.exp(at[m])
        energy += t.energy[m] * visited
        for r in range(loads.size):
            loads[r] += t.busier[m, r] * visited
    for r in range(loads.size):
        cycles = max(cycles, loads[r])
    energy += goal.clock * cycles
    return np.log(objective(goal, energy, cycles))


@compiled(inline=True)
def _over(t: Terms, at: Floats) -> Any:
    """By how much memories and the array are too small, the sum of the logarithms."""
    last = t.monomials + t.scale.size
    over = max(0.0, at[last] - t.limits[0]) + max(0.0, at[last + 1] - t.limits[1])
    for memory in range(t.prices.size):
        used = 0.0
        for tile in range(t.scale.size):
            if t.memory[tile] == memory:
                used += t.scale[tile] * np.exp(at[t.monomials + tile])
        if used > 1.0:
            over += np.log(used)
    return over
