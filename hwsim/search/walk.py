"""Every nest of a structure whose bound is below a limit, one by one."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.chains import STARTS, Table
from hwsim.search.dual import all_fit, objective, value
from hwsim.search.inner import SHARES
from hwsim.search.master import Goal
from hwsim.search.outer import is_twice
from hwsim.search.problem import FIRSTS, LEADS, MONOMIALS, OUTER, RISEN, TILES, Form, Numbers
from hwsim.search.scores import LEAF, Weights, write_down

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Columns of `Walk.tally`.
FOUND, TRIED, SETS, REACHED, MOST = range(5)


class Walk(NamedTuple):
    """Where the walk stands, and what it found.

    `order` [6]: axes as they are chosen. By axis: `options`, `chains` numbers in the table,
    `splits` how the option's places are split, `least_chain` the least cost of a chain that it goes
    with. `logs` [13, MONOMIALS], `tiles` [13, TILES]: sums after so many choices, of options
    and then of chains; `rest` [7]: least scores of the axes still to come. `limit` [1]:
    log(objective) of what is looked for. `leaves` [LEAVES, 6, LEAF], `values` [LEAVES]: the latest
    nests found, each lower than all before. `tally` [5]: nests found, options and chains tried,
    sets of options that fit, nests reached, and how many options and chains may be tried.
    """

    order: Ints
    options: Ints
    chains: Ints
    splits: Ints
    least_chain: Floats
    logs: Floats
    tiles: Floats
    rest: Floats
    limit: Floats
    leaves: Ints
    values: Floats
    tally: Ints


# Nests that are remembered.
LEAVES = 64


def walk(limit: float, effort: int) -> Walk:
    """A walk that has not begun, for nests below a limit, over so many options."""
    zeros = np.zeros
    return Walk(
        zeros(6, np.int64),
        zeros(6, np.int64),
        zeros(6, np.int64),
        zeros(6, np.int64),
        zeros(6),
        zeros((13, MONOMIALS)),
        zeros((13, TILES)),
        zeros(7),
        np.full(1, limit),
        zeros((LEAVES, 6, LEAF), np.int64),
        zeros(LEAVES),
        np.array([0, 0, 0, 0, effort], np.int64),
    )


@compiled()
def search(n: Numbers, f: Form, goal: Goal, t: Table, w: Weights, const: float, s: Walk) -> None:
    """All nests of the structure below the limit."""
    sizes = np.zeros(6)
    for axis in range(6):
        sizes[axis] = t.option_starts[axis + 1] - t.option_starts[axis]
    s.order[:] = np.argsort(sizes, kind="mergesort")
    s.rest[6] = 0.0
    for at in range(5, -1, -1):
        s.rest[at] = s.rest[at + 1] + t.least[s.order[at]]
    s.logs[0], s.tiles[0] = 0.0, 0.0
    _options(n, f, goal, t, w, s, const)


@compiled()
def _options(n: Numbers, f: Form, goal: Goal, t: Table, w: Weights, s: Walk, const: float) -> None:
    """Chooses an option and its places for one axis after the other."""
    row, split = np.zeros(6, np.int64), np.zeros(6, np.int64)
    score, x, y = np.zeros(7), np.zeros(7, np.int64), np.zeros(7, np.int64)
    chain = np.full(6, -1.0)
    score[0], x[0], y[0] = const, n.x, n.y
    at = 0
    row[0] = t.option_starts[s.order[0]]
    while at >= 0 and s.tally[TRIED] < s.tally[MOST]:
        axis = s.order[at]
        r, k = row[at], split[at]
        if r == t.option_starts[axis + 1] or score[at] + t.full[r] + s.rest[at + 1] >= s.limit[0]:
            at -= 1
            continue
        split[at] += 1
        if k == 0:
            s.tally[TRIED] += 1
            chain[at] = first_chain(t, axis, r)
            if not fits(n, f, t, s, at, r):
                k = t.place_counts[r]
        if k >= t.place_counts[r]:
            row[at] += 1
            split[at] = 0
            continue
        a, b = t.places[r, k]
        if a > x[at] or b > y[at]:
            continue
        now = (
            score[at] + t.scores[r] + w.places[0] * np.log(a) + w.places[1] * np.log(b) + chain[at]
        )
        if now + s.rest[at + 1] >= s.limit[0]:
            continue
        s.options[axis] = r
        s.least_chain[axis] = chain[at]
        s.splits[axis] = k
        if at == 5:
            s.tally[SETS] += 1
            chains_of(n, f, goal, t, s, now)
        else:
            at += 1
            score[at], x[at], y[at] = now, x[at - 1] // a, y[at - 1] // b
            row[at], split[at] = t.option_starts[s.order[at]], 0


@compiled(allocates=False)
def first_chain(t: Table, axis: int, row: int) -> Any:
    """The least cost of a chain that an option goes with."""
    for c in range(t.chain_starts[axis], t.chain_starts[axis + 1]):
        if _goes(t, row, c):
            return t.costs[c]
    return 1e300


@compiled(allocates=False)
def _goes(t: Table, row: int, c: int) -> Any:
    """Whether an option goes with a chain."""
    last = t.last
    i, j = t.tiles[c, last]
    return t.spans[row, 0] <= i < t.spans[row, 1] and t.spans[row, 2] <= j < t.spans[row, 3]


@compiled(allocates=False)
def fits(n: Numbers, f: Form, t: Table, s: Walk, at: int, row: int) -> Any:
    """Adds up an option; whether the pads' tiles still fit."""
    for k in range(MONOMIALS):
        s.logs[at + 1, k] = s.logs[at, k]
        if k >= OUTER:
            s.logs[at + 1, k] += t.features[row, k - OUTER]
    for k in range(TILES):
        s.tiles[at + 1, k] = s.tiles[at, k]
        if k >= OUTER:
            s.tiles[at + 1, k] += t.features[row, SHARES + k - OUTER]
    return all_fit(n, f, s.tiles[at + 1], OUTER)


@compiled()
def chains_of(n: Numbers, f: Form, goal: Goal, t: Table, s: Walk, score: float) -> None:
    """Chooses the tiles above the array of one axis after the other; `score` holds their least."""
    base = np.zeros(7)
    base[0] = score
    cursor = np.zeros(6, np.int64)
    cursor[0] = t.chain_starts[s.order[0]]
    at = 0
    while at >= 0 and s.tally[TRIED] < s.tally[MOST]:
        axis = s.order[at]
        c = cursor[at]
        now = base[at] - s.least_chain[axis]
        if c < t.chain_starts[axis + 1]:
            now += t.costs[c]
        if c == t.chain_starts[axis + 1] or now >= s.limit[0]:
            at -= 1
            continue
        cursor[at] += 1
        s.tally[TRIED] += 1
        if not _goes(t, s.options[axis], c):
            continue
        _add_chain(f, t, s, at, axis, c)
        if at == 5:
            s.tally[REACHED] += 1
            _leaf(n, f, goal, t, s)
        else:
            at += 1
            base[at] = now
            cursor[at] = t.chain_starts[s.order[at]]


@compiled(allocates=False)
def _add_chain(f: Form, t: Table, s: Walk, at: int, axis: int, c: int) -> None:
    """Adds up a chain."""
    for k in range(MONOMIALS):
        s.logs[7 + at, k] = s.logs[6 + at, k]
    for k in range(TILES):
        s.tiles[7 + at, k] = s.tiles[6 + at, k]
    for k in range(f.tensors.size):
        s.logs[7 + at, k] += t.chain[c, k]
        s.tiles[7 + at, k] += t.chain[c, OUTER + k]
        s.logs[7 + at, FIRSTS + k] += t.chain[c, OUTER + k]
    for lead in range(LEADS, LEADS + 3):
        s.logs[7 + at, lead] += t.chain[c, STARTS]
    if is_twice(f, axis):
        s.logs[7 + at, RISEN] += t.chain[c, f.risen]
    s.chains[axis] = c


@compiled()
def _leaf(n: Numbers, f: Form, goal: Goal, t: Table, s: Walk) -> None:
    """Keeps a nest that fits and is below the limit."""
    if not all_fit(n, f, s.tiles[12], 0):
        return
    energy, cycles = value(goal, s.logs[12])
    found = objective(goal, energy, cycles)
    if np.log(found) >= s.limit[0] - 1e-12:
        return
    c = s.tally[FOUND] % s.values.size
    s.values[c] = found
    _write(f, t, s, s.leaves[c])
    s.tally[FOUND] += 1
    s.limit[0] = np.log(found)


@compiled(allocates=False)
def _write(f: Form, t: Table, s: Walk, leaf: Ints) -> None:
    """Writes the chosen options and chains down, [axis, LEAF]."""
    for axis in range(6):
        number, tiles = t.number[s.options[axis]], t.tiles[s.chains[axis]]
        write_down(leaf[axis], number, s.splits[axis], tiles, f.tensors.size)
