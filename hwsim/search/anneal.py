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
from hwsim.search.dual import Ascent, all_fit, objective, value
from hwsim.search.inner import Options
from hwsim.search.master import Floats, Goal, Ints, is_twice
from hwsim.search.outer import Scratch, visits
from hwsim.search.problem import MONOMIALS, OUTER, RISEN, TILES, Form, Numbers
from hwsim.search.scores import LEAF, PLACES, TAKEN, Picks, column_of, price_all
from hwsim.search.ways import WIDTH

# Temperatures, in logarithms of the objective, and what a logarithm of too much costs.
HOT, COLD, PENALTY = 0.15, 0.01, 2.0
# Options are drawn by their rank in the relaxation, more of the first the larger this power.
KEEN = 3.0
# Moves that change tiles above the array; the others change what goes on within.
ABOVE = 0.5


class State(NamedTuple):
    """A nest: `option` and `split` [axis], `tiles` [axis, store + 1, 2] numbers of tiles, those
    before the first store first; `taken` [axis, TAKEN] what its axes take, and `summed` [TAKEN]."""

    option: Ints
    split: Ints
    tiles: Ints
    taken: Floats
    summed: Floats


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
    now, new, best = _state(), _state(), _state()
    order = []
    for axis in range(6):
        order.append(np.argsort(scratch[axis].scores[: options[axis].key.size]))
        now.option[axis] = order[axis][0]
        _enter(n, f, axis, options[axis], scratch[axis], now)
    _copy(now, new)
    cost, lowest = _cost(n, f, goal, now.summed), np.inf
    for move in range(moves):
        axis = np.random.randint(6)
        o, own = options[axis], scratch[axis]
        if not _changed(n, f, axis, o, order[axis], own, new):
            _copy_axis(axis, now, new)
            continue
        _take(n, f, axis, o, own, new)
        new.summed[:] = now.summed - now.taken[axis] + new.taken[axis]
        other = _cost(n, f, goal, new.summed)
        heat = HOT * (COLD / HOT) ** (move / moves)
        if other <= cost or np.random.random() < np.exp((cost - other) / heat):
            _copy_axis(axis, new, now)
            now.summed[:] = new.summed
            cost = other
            if cost < lowest and _fits(n, f, now.summed):
                lowest = cost
                _copy(now, best)
        else:
            _copy_axis(axis, now, new)
    a.value[0] = np.inf
    if lowest < np.inf:
        _write(n, f, goal, options, best, a)


@compiled()
def _state() -> State:
    return State(
        np.zeros(6, np.int64),
        np.zeros(6, np.int64),
        np.zeros((6, OUTER + 1, 2), np.int64),
        np.zeros((6, TAKEN)),
        np.zeros(TAKEN),
    )


@compiled()
def _copy(source: State, to: State) -> None:
    for axis in range(6):
        _copy_axis(axis, source, to)
    to.summed[:] = source.summed


@compiled()
def _copy_axis(axis: int, source: State, to: State) -> None:
    to.option[axis], to.split[axis] = source.option[axis], source.split[axis]
    to.tiles[axis], to.taken[axis] = source.tiles[axis], source.taken[axis]


@compiled()
def _enter(n: Numbers, f: Form, axis: int, o: Options, own: Scratch, s: State) -> None:
    """Begins an axis with the tiles of its option everywhere that they may be."""
    stores = f.tensors.size
    s.tiles[axis, 0] = 0
    s.tiles[axis, stores] = o.keys[o.key[s.option[axis]]]
    _mend(n, f, axis, stores, s.tiles[axis])
    _take(n, f, axis, o, own, s)
    s.summed[:] += s.taken[axis]


@compiled()
def _changed(
    n: Numbers, f: Form, axis: int, o: Options, order: Ints, own: Scratch, s: State
) -> bool:
    """Changes an axis at random; whether that leaves something that it may have."""
    stores, tiles = f.tensors.size, s.tiles[axis]
    if stores and np.random.random() < ABOVE:
        store, dim = 1 + np.random.randint(stores), np.random.randint(2)
        d = n.first[axis] if dim == 0 else n.second[axis]
        if d < 0 or n.counts[d] == 1:
            return False
        tiles[store, dim] = np.random.randint(n.counts[d])
        for k in range(store + 1, stores + 1):
            tiles[k, dim] = max(tiles[k, dim], tiles[k - 1, dim])
            if not f.masks[k - 1, d]:
                tiles[k, dim] = tiles[k - 1, dim]
    elif order.size > 1:
        s.option[axis] = order[int(order.size * np.random.random() ** KEEN)]
    at = o.spread[s.option[axis]]
    s.split[axis] = np.random.randint(o.split_counts[at])
    return _joined(n, f, axis, o.keys[o.key[s.option[axis]]], tiles)


@compiled()
def _joined(n: Numbers, f: Form, axis: int, key: Ints, tiles: Ints) -> bool:
    """Lowers tiles to those that an option goes with; whether that can be."""
    stores = f.tensors.size
    for dim in range(2):
        d = n.first[axis] if dim == 0 else n.second[axis]
        if d >= 0 and not f.masks[stores, d]:
            tiles[stores, dim] = key[dim]
        tiles[stores, dim] = min(tiles[stores, dim], key[dim])
    return _mend(n, f, axis, stores, tiles)


@compiled()
def _mend(n: Numbers, f: Form, axis: int, store: int, tiles: Ints) -> bool:
    """Lowers the tiles above a store to what may be there; whether the first ones are whole."""
    for k in range(store, 0, -1):
        for dim in range(2):
            d = n.first[axis] if dim == 0 else n.second[axis]
            least = tiles[k, dim]
            if d >= 0 and not f.masks[k - 1, d]:
                tiles[k - 1, dim] = least if k > 1 else tiles[0, dim]
                if k == 1 and least != 0:
                    return False
            tiles[k - 1, dim] = min(tiles[k - 1, dim], least)
    return True


@compiled()
def _take(n: Numbers, f: Form, axis: int, o: Options, own: Scratch, s: State) -> None:
    """Writes down what an axis takes."""
    taken, pick, tiles = s.taken[axis], s.option[axis], s.tiles[axis]
    taken[:] = 0.0
    for c in range(o.columns.size):
        taken[column_of(o.columns[c])] = o.features[c, pick]
    x, y = o.splits[o.spread[pick], s.split[axis]]
    taken[PLACES], taken[PLACES + 1] = n.logs[x], n.logs[y]
    for k in range(f.tensors.size):
        before, at = (tiles[k, 0], tiles[k, 1]), (tiles[k + 1, 0], tiles[k + 1, 1])
        taken[k] = visits(f, axis, k, own, before, at)
        if k != f.risen:
            taken[MONOMIALS + k] = own.shares[f.tensors[k], at[0], at[1]]
    if is_twice(f, axis):
        taken[RISEN] += taken[f.risen]


@compiled()
def _cost(n: Numbers, f: Form, goal: Goal, summed: Floats) -> Any:
    """The logarithm of the objective, and what it costs not to fit."""
    energy, cycles = value(goal, summed[:MONOMIALS])
    over = max(0.0, summed[PLACES] - np.log(n.x)) + max(0.0, summed[PLACES + 1] - np.log(n.y))
    for memory in range(n.room.size):
        used = 0.0
        for t in range(TILES):
            if f.memory[t] == memory:
                used += f.bits[t] * np.exp(summed[MONOMIALS + t])
        if used > n.room[memory]:
            over += np.log(used / n.room[memory])
    return np.log(objective(goal, energy, cycles)) + PENALTY * over


@compiled()
def _fits(n: Numbers, f: Form, summed: Floats) -> Any:
    """Whether a nest fits the memories and the array."""
    if summed[PLACES] > np.log(n.x) + 1e-9 or summed[PLACES + 1] > np.log(n.y) + 1e-9:
        return False
    return all_fit(n, f, summed[MONOMIALS:PLACES], 0)


@compiled()
def _write(
    n: Numbers, f: Form, goal: Goal, options: tuple[Options, ...], s: State, a: Ascent
) -> None:
    """Writes a nest down."""
    energy, cycles = value(goal, s.summed[:MONOMIALS])
    a.value[0] = objective(goal, energy, cycles)
    for axis in range(6):
        o, row = options[axis], a.leaf[axis]
        d, e = n.first[axis], n.second[axis]
        pick = s.option[axis]
        row[0], row[1] = o.splits[o.spread[pick], s.split[axis]]
        way = o.ways[o.number[pick]]
        row[2 : 2 + WIDTH], row[2 + WIDTH : 2 + 2 * WIDTH] = way[0], way[1]
        for k in range(f.tensors.size + 1):
            row[2 + 2 * WIDTH + 2 * k] = n.sizes[d, s.tiles[axis, k, 0]]
            row[3 + 2 * WIDTH + 2 * k] = n.sizes[e, s.tiles[axis, k, 1]] if e >= 0 else 1
