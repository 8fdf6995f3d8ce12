"""Good nests of a structure, by simulated annealing in the model of the search.

A nest is an option, a way to split its places and a chain of tiles above the array for every axis.
A move changes one axis: another option, more often one that the relaxation likes, or another tile
above the array. What does not fit costs by how much it is too large (Kirkpatrick, Gelatt and
Vecchi, "Optimization by Simulated Annealing", Science 1983). Nothing is proved here: found nests
are what bounds are compared with.
"""

from typing import Any, NamedTuple

import numpy as np

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent, objective
from hwsim.search.inner import Options
from hwsim.search.master import Floats, Goal, Ints, is_twice
from hwsim.search.outer import Scratch
from hwsim.search.problem import MONOMIALS, OUTER, RISEN, Flags, Form, Numbers
from hwsim.search.scores import LEAF, TAKEN, Picks, column_of, price_all
from hwsim.search.shares import Terms, terms
from hwsim.search.ways import WIDTH

# Temperatures, in logarithms of the objective, and what a logarithm of too much costs.
HOT, COLD, PENALTY = 0.15, 0.01, 2.0
# What may be too much by rounding, as a logarithm.
ROUNDING = 1e-9
# Options are drawn by their rank in the relaxation, of so many, and more of the first the larger
# this power.
RANKED, KEEN = 4096, 3.0
# Moves that change tiles above the array, the others change what goes on within; and of the former
# those that go to the next tile.
ABOVE, NEXT = 0.5, 0.3


class Choices(NamedTuple):
    """What every axis may be, all axes in one: options from `starts[axis]` to `starts[axis + 1]`,
    the best first.

    `number` [row] of an option, `taken` [row, term], `key` [row, 2] its tiles above the array;
    `splits` [row, 2]: the first and the number of its places in `places` [split, 2], logarithms,
    from `first_split` [axis] on. `times`, `shares` [axis, tensor, tile, tile], `overlaps` [axis, 2,
    tile] as in Scratch.
    """

    starts: Ints
    number: Ints
    taken: Floats
    key: Ints
    splits: Ints
    places: Floats
    times: Floats
    shares: Floats
    overlaps: Flags


class State(NamedTuple):
    """A nest: `row` of its option and `split` [axis], `tiles` [axis, store + 1, 2] numbers of
    tiles, those before the first store first; `taken` [axis, term] what its axes take."""

    row: Ints
    split: Ints
    tiles: Ints
    taken: Floats


@compiled()
def anneal(
    n: Numbers,
    f: Form,
    goal: Goal,
    options: tuple[Options, ...],
    a: Ascent,
    scratch: tuple[Scratch, ...],
    moves: int,
    seed: int,
) -> None:
    """Tries so many moves, and leaves the lowest nest that fits in `a`, if any does."""
    np.random.seed(seed)
    picks = Picks(np.zeros((6, TAKEN)), np.zeros((6, LEAF), np.int64))
    price_all(n, f, options, a.weights, scratch, picks)
    t = terms(n, f, goal, a.weights, 0.0)
    c = _choices(n, t, options, scratch)
    best = _state(t.columns.size)
    a.value[0] = np.exp(_walked(n, f, goal, t, c, moves, best))
    if a.value[0] < np.inf:
        _write(n, f, options, c, best, a.leaf)


@compiled()
def _choices(
    n: Numbers, t: Terms, options: tuple[Options, ...], scratch: tuple[Scratch, ...]
) -> Choices:
    """What every axis may be, options by their scores."""
    starts, rows = np.zeros(7, np.int64), 0
    first, splits, most0, most1 = np.zeros(6, np.int64), 0, 1, 1
    for axis in range(6):
        o = options[axis]
        starts[axis], first[axis] = rows, splits
        rows, splits = rows + min(o.key.size, RANKED), splits + o.split_counts.sum()
        most0, most1 = max(most0, o.barred.shape[1]), max(most1, o.barred.shape[2])
    starts[6] = rows
    c = Choices(
        starts,
        np.empty(rows, np.int64),
        np.zeros((rows, t.columns.size)),
        np.empty((rows, 2), np.int64),
        np.empty((rows, 2), np.int64),
        np.empty((splits, 2)),
        np.zeros((6, 3, most0, most1)),
        np.zeros((6, 3, most0, most1)),
        np.zeros((6, 2, max(most0, most1)), np.bool_),
    )
    for axis in range(6):
        o, own = options[axis], scratch[axis]
        ranked = np.argsort(own.scores[: o.key.size], kind="mergesort")
        _enter_options(n, t, o, ranked, starts[axis], first[axis], c)
        i, j = o.barred.shape[1:]
        c.times[axis, :, :i, :j], c.shares[axis, :, :i, :j] = own.times, own.shares
        c.overlaps[axis, :, : own.overlaps.shape[1]] = own.overlaps
    return c


@compiled()
def _enter_options(
    n: Numbers, t: Terms, o: Options, ranked: Ints, start: int, first: int, c: Choices
) -> None:
    """Writes down the first of the ranked options of an axis."""
    begin = np.zeros(o.split_counts.size, np.int64)
    for at in range(begin.size):
        begin[at] = first
        for k in range(o.split_counts[at]):
            c.places[first, 0] = n.logs[o.splits[at, k, 0]]
            c.places[first, 1] = n.logs[o.splits[at, k, 1]]
            first += 1
    for row in range(min(ranked.size, RANKED)):
        pick, to = ranked[row], start + row
        c.number[to], c.key[to] = pick, o.keys[o.key[pick]]
        c.splits[to, 0] = begin[o.spread[pick]]
        c.splits[to, 1] = o.split_counts[o.spread[pick]]
        for column in range(o.columns.size):
            term = t.term[column_of(o.columns[column])]
            if term >= 0:
                c.taken[to, term] = o.features[column, pick]


@compiled()
def _walked(n: Numbers, f: Form, goal: Goal, t: Terms, c: Choices, moves: int, best: State) -> Any:
    """The logarithm of the lowest value that is found, infinite if nothing fits, and into `best`
    the nest that has it."""
    size = t.columns.size
    now, new = _state(size), _state(size)
    for axis in range(6):
        now.row[axis] = c.starts[axis]
        _begin(n, f, t, c, axis, now)
        _copy(axis, now, new)
    at, then, room = now.taken.sum(axis=0), np.empty(size), np.empty(goal.busy_const.size)
    above, within = _sites(n, f, c)
    lowest, cost = np.inf, np.inf
    heat, cooling = HOT, (COLD / HOT) ** (1 / moves)
    for _ in range(moves if above.shape[0] + within.shape[0] else 0):
        heat *= cooling
        sites = above if np.random.random() < ABOVE and above.shape[0] else within
        if sites.shape[0] == 0:
            continue
        site = np.random.randint(sites.shape[0])
        axis, dim = sites[site, 0], sites[site, 1]
        if not _changed(n, f, c, axis, dim, new):
            _copy(axis, now, new)
            continue
        _take(f, t, c, axis, new)
        for k in range(size):
            then[k] = at[k] - now.taken[axis, k] + new.taken[axis, k]
        other, over = _cost(goal, t, then, room), _over(t, then)
        value = other + PENALTY * over
        if value > cost and np.random.random() >= np.exp((cost - value) / heat):
            _copy(axis, now, new)
            continue
        _copy(axis, new, now)
        at[:] = then
        cost = value
        if other < lowest and over <= ROUNDING:
            lowest = other
            for k in range(6):
                _copy(k, now, best)
    return lowest


@compiled()
def _state(size: int) -> State:
    return State(
        np.zeros(6, np.int64),
        np.zeros(6, np.int64),
        np.zeros((6, OUTER + 1, 2), np.int64),
        np.zeros((6, size)),
    )


@compiled(inline=True)
def _copy(axis: int, source: State, to: State) -> None:
    to.row[axis], to.split[axis] = source.row[axis], source.split[axis]
    for k in range(OUTER + 1):
        to.tiles[axis, k, 0] = source.tiles[axis, k, 0]
        to.tiles[axis, k, 1] = source.tiles[axis, k, 1]
    for k in range(to.taken.shape[1]):
        to.taken[axis, k] = source.taken[axis, k]


@compiled()
def _begin(n: Numbers, f: Form, t: Terms, c: Choices, axis: int, s: State) -> None:
    """Begins an axis with the tiles of its option everywhere that they may be."""
    s.split[axis] = c.splits[s.row[axis], 0]
    s.tiles[axis, f.tensors.size] = c.key[s.row[axis]]
    _mend(n, f, axis, s)
    _take(f, t, c, axis, s)


@compiled()
def _sites(n: Numbers, f: Form, c: Choices) -> Any:
    """What can change: rows (axis, dimension of it) of tiles above the array, and rows (axis, -1)
    of options."""
    above, within = np.full((12, 2), -1, np.int64), np.full((6, 2), -1, np.int64)
    tiles = choices = 0
    for axis in range(6):
        if c.starts[axis + 1] > c.starts[axis] + 1 or c.splits[c.starts[axis], 1] > 1:
            within[choices, 0] = axis
            choices += 1
        for dim in range(2):
            d = n.first[axis] if dim == 0 else n.second[axis]
            if f.tensors.size and d >= 0 and n.counts[d] > 1:
                above[tiles] = axis, dim
                tiles += 1
    return above[:tiles], within[:choices]


@compiled(inline=True)
def _changed(n: Numbers, f: Form, c: Choices, axis: int, dim: int, s: State) -> bool:
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
        row = c.starts[axis] + int(count * np.random.random() ** KEEN)
        s.row[axis] = row
        s.split[axis] = c.splits[row, 0] + np.random.randint(c.splits[row, 1])
    for k in range(2):
        d, least = n.first[axis] if k == 0 else n.second[axis], c.key[s.row[axis], k]
        if s.tiles[axis, stores, k] > least or (d >= 0 and not f.masks[stores, d]):
            s.tiles[axis, stores, k] = least
    return _mend(n, f, axis, s)


@compiled(inline=True)
def _other(number: int, count: int) -> Any:
    """Another number of a tile: the next one either way, or any."""
    chance = np.random.random()
    if chance < NEXT:
        return min(number + 1, count - 1) if chance < NEXT / 2 else max(number - 1, 0)
    return np.random.randint(count)


@compiled(inline=True)
def _mend(n: Numbers, f: Form, axis: int, s: State) -> bool:
    """Lowers tiles above the last ones to what may be there; whether the first ones are whole."""
    for k in range(f.tensors.size, 0, -1):
        for dim in range(2):
            d = n.first[axis] if dim == 0 else n.second[axis]
            least = s.tiles[axis, k, dim]
            if d >= 0 and not f.masks[k - 1, d]:
                if k == 1 and least != 0:
                    return False
                s.tiles[axis, k - 1, dim] = least
            elif s.tiles[axis, k - 1, dim] > least:
                s.tiles[axis, k - 1, dim] = least
    return True


@compiled(inline=True)
def _take(f: Form, t: Terms, c: Choices, axis: int, s: State) -> None:
    """Writes down what an axis takes of all terms."""
    row, split, size = s.row[axis], s.split[axis], s.taken.shape[1]
    for k in range(size - 2):
        s.taken[axis, k] = c.taken[row, k]
    s.taken[axis, size - 2], s.taken[axis, size - 1] = c.places[split, 0], c.places[split, 1]
    for k in range(f.tensors.size):
        i, j = s.tiles[axis, k + 1, 0], s.tiles[axis, k + 1, 1]
        times = _visits(f, c, axis, k, s)
        if t.term[k] >= 0:
            s.taken[axis, t.term[k]] = times
        if k == f.risen and is_twice(f, axis) and t.term[RISEN] >= 0:
            s.taken[axis, t.term[RISEN]] += times
        if k != f.risen and t.term[MONOMIALS + k] >= 0:
            s.taken[axis, t.term[MONOMIALS + k]] = c.shares[axis, f.tensors[k], i, j]


@compiled(inline=True)
def _visits(f: Form, c: Choices, axis: int, k: int, s: State) -> Any:
    """`outer.visits` of a nest."""
    t, i, j = f.tensors[k], s.tiles[axis, k + 1, 0], s.tiles[axis, k + 1, 1]
    found = c.times[axis, t, i, j]
    if f.slides[k] == axis:
        u, v = s.tiles[axis, k, 0], s.tiles[axis, k, 1]
        if u < i and c.overlaps[axis, 0, j]:
            found = min(found, c.times[axis, t, u, j])
        if v < j and c.overlaps[axis, 1, i]:
            found = min(found, c.times[axis, t, i, v])
    return found


@compiled(inline=True)
def _cost(goal: Goal, t: Terms, at: Floats, loads: Floats) -> Any:
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


@compiled()
def _write(
    n: Numbers, f: Form, options: tuple[Options, ...], c: Choices, s: State, leaf: Ints
) -> None:
    """Writes a nest down."""
    for axis in range(6):
        o, row = options[axis], leaf[axis]
        d, e = n.first[axis], n.second[axis]
        pick = c.number[s.row[axis]]
        row[0], row[1] = o.splits[o.spread[pick], s.split[axis] - c.splits[s.row[axis], 0]]
        way = o.ways[o.number[pick]]
        row[2 : 2 + WIDTH], row[2 + WIDTH : 2 + 2 * WIDTH] = way[0], way[1]
        for k in range(f.tensors.size + 1):
            row[2 + 2 * WIDTH + 2 * k] = n.sizes[d, s.tiles[axis, k, 0]]
            row[3 + 2 * WIDTH + 2 * k] = n.sizes[e, s.tiles[axis, k, 1]] if e >= 0 else 1
