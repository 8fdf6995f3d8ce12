"""Nests as annealing has them: what every axis may be in flat tables, and one choice of it all."""

from typing import NamedTuple

import numpy as np

from hwsim._compiled import compiled
from hwsim.search.master import Floats, Ints
from hwsim.search.outer import Scratch, is_twice, visits
from hwsim.search.pool import Pool
from hwsim.search.problem import FIRSTS, LEADS, MONOMIALS, OUTER, RISEN, Form, Numbers
from hwsim.search.scores import column_of, write_down
from hwsim.search.shares import Terms
from hwsim.search.tables import Tables

# Options of an axis that are tried, those that the relaxation likes most.
RANKED = 4096


class Choices(NamedTuple):
    """Options of all axes from `starts[axis]` to `starts[axis + 1]`, the best first: `number` [row]
    of an option, `spread` [row] of its places, `taken` [row, term], `key` [row, 2] its tiles above
    the array."""

    starts: Ints
    number: Ints
    spread: Ints
    taken: Floats
    key: Ints


class State(NamedTuple):
    """A nest: `row` of its option and `split` of its places [axis], `tiles` [axis, store + 1, 2]
    numbers of tiles, those before the first store first; `taken` [axis, term] what its axes take.
    """

    row: Ints
    split: Ints
    tiles: Ints
    taken: Floats


@compiled()
def choices_of(n: Numbers, t: Terms, p: Pool, s: Scratch) -> Choices:
    """What every axis may be, options by their scores."""
    starts = np.zeros(7, np.int64)
    for axis in range(6):
        starts[axis + 1] = starts[axis] + min(p.end[axis] - p.begin[axis], RANKED)
    rows, terms = starts[6], t.columns.size
    c = Choices(
        starts,
        np.empty(rows, np.int64),
        np.empty(rows, np.int64),
        np.zeros((rows, terms)),
        np.empty((rows, 2), np.int64),
    )
    for axis in range(6):
        a, b = p.begin[axis], p.end[axis]
        order = np.argsort(s.scores[a:b], kind="mergesort")
        for at in range(starts[axis + 1] - starts[axis]):
            _enter(n, t, p, a + order[at], starts[axis] + at, c)
    return c


@compiled(allocates=False)
def _enter(n: Numbers, t: Terms, p: Pool, pick: int, to: int, c: Choices) -> None:
    """Writes down an option."""
    c.number[to], c.spread[to] = p.number[pick], p.spread[pick]
    c.key[to, 0], c.key[to, 1] = p.key[pick] // n.wide, p.key[pick] % n.wide
    for column in range(p.columns.size):
        term = t.term[column_of(p.columns[column])]
        if term >= 0:
            c.taken[to, term] = p.features[column, pick]


@compiled()
def state(size: int) -> State:
    """Room for a nest of so many terms."""
    return State(
        np.zeros(6, np.int64),
        np.zeros(6, np.int64),
        np.zeros((6, OUTER + 1, 2), np.int64),
        np.zeros((6, size)),
    )


@compiled(inline=True)
def copy(axis: int, source: State, to: State) -> None:
    """Takes an axis over from another nest."""
    to.row[axis], to.split[axis] = source.row[axis], source.split[axis]
    for k in range(OUTER + 1):
        to.tiles[axis, k, 0] = source.tiles[axis, k, 0]
        to.tiles[axis, k, 1] = source.tiles[axis, k, 1]
    for k in range(to.taken.shape[1]):
        to.taken[axis, k] = source.taken[axis, k]


@compiled(allocates=False)
def begin(n: Numbers, f: Form, t: Terms, tables: Tables, c: Choices, axis: int, s: State) -> None:
    """Begins an axis with the tiles of its option everywhere that they may be."""
    s.split[axis] = 0
    for dim in range(2):
        s.tiles[axis, f.tensors.size, dim] = c.key[s.row[axis], dim]
    mend(n, f, axis, s)
    take(n, f, t, tables, c, axis, s)


@compiled(inline=True)
def mend(n: Numbers, f: Form, axis: int, s: State) -> bool:
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
def take(n: Numbers, f: Form, t: Terms, tables: Tables, c: Choices, axis: int, s: State) -> None:
    """Writes down what an axis takes of all terms."""
    row, own, size = s.row[axis], s.taken[axis], s.taken.shape[1]
    for k in range(size - 2):
        own[k] = c.taken[row, k]
    for k in range(2):
        own[size - 2 + k] = n.logs[tables.splits[c.spread[row], s.split[axis], k]]
    for k in range(f.tensors.size):
        before, at = (s.tiles[axis, k, 0], s.tiles[axis, k, 1]), s.tiles[axis, k + 1]
        i, j = at[0], at[1]
        times = visits(f, tables, axis, k, before, (i, j))
        _add(t, k, times, own)
        if k == f.risen and is_twice(f, axis):
            _add(t, RISEN, times, own)
        if k != f.risen:
            _add(t, MONOMIALS + k, tables.shares[axis, f.tensors[k], i, j], own)
            _add(t, FIRSTS + k, tables.shares[axis, f.tensors[k], i, j], own)
        if k == f.starts:
            for column in range(LEADS, LEADS + 3):
                _add(t, column, tables.counts[axis, i, j], own)


@compiled(inline=True)
def _add(t: Terms, column: int, log: float, taken: Floats) -> None:
    """Adds to what is taken of a column, if it is a term."""
    if t.term[column] >= 0:
        taken[t.term[column]] += log


@compiled(allocates=False)
def write(f: Form, c: Choices, s: State, leaf: Ints) -> None:
    """Writes a nest down [axis, LEAF]."""
    for axis in range(6):
        number = c.number[s.row[axis]]
        write_down(leaf[axis], number, s.split[axis], s.tiles[axis], f.tensors.size)
