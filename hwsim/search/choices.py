"""Nests as annealing has them: what every axis may be in flat tables, and one choice of it all."""

from typing import Any, NamedTuple

import numpy as np

from hwsim._compiled import compiled
from hwsim.search.inner import Options
from hwsim.search.master import Floats, Ints, is_twice
from hwsim.search.outer import Scratch
from hwsim.search.problem import FIRSTS, LEADS, MONOMIALS, OUTER, RISEN, Flags, Form, Numbers
from hwsim.search.scores import column_of
from hwsim.search.shares import Terms
from hwsim.search.ways import WIDTH

# Options of an axis that are tried, those that the relaxation likes most.
RANKED = 4096


class Choices(NamedTuple):
    """What every axis may be, all axes in one: options from `starts[axis]` to `starts[axis + 1]`,
    the best first.

    `number` [row] of an option, `taken` [row, term], `key` [row, 2] its tiles above the array;
    `splits` [row, 2]: the first and the number of its places in `places` [split, 2], logarithms.
    `times`, `shares` [axis, tensor, tile, tile], `counts` [axis, tile, tile], `overlaps` [axis, 2,
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
    counts: Floats
    overlaps: Flags


class State(NamedTuple):
    """A nest: `row` of its option and `split` [axis], `tiles` [axis, store + 1, 2] numbers of
    tiles, those before the first store first; `taken` [axis, term] what its axes take."""

    row: Ints
    split: Ints
    tiles: Ints
    taken: Floats


def choices_of(
    n: Numbers, t: Terms, options: tuple[Options, ...], scratch: tuple[Scratch, ...]
) -> Choices:
    """What every axis may be, options by their scores."""
    starts = np.cumsum([0, *(min(o.key.size, RANKED) for o in options)])
    first = np.cumsum([0, *(o.split_counts.sum() for o in options)])
    rows, most = int(starts[-1]), tuple(max(o.barred.shape[k] for o in options) for k in (1, 2))
    c = Choices(
        starts,
        np.empty(rows, np.int64),
        np.zeros((rows, t.columns.size)),
        np.empty((rows, 2), np.int64),
        np.empty((rows, 2), np.int64),
        np.empty((int(first[-1]), 2)),
        np.zeros((6, 3, *most)),
        np.zeros((6, 3, *most)),
        np.zeros((6, *most)),
        np.zeros((6, 2, max(most)), np.bool_),
    )
    for axis, (o, own) in enumerate(zip(options, scratch, strict=True)):
        ranked = np.argsort(own.scores[: o.key.size], kind="stable")[:RANKED]
        enter_options(n, t, o, ranked, starts[axis], first[axis], c)
        i, j = o.barred.shape[1:]
        c.times[axis, :, :i, :j], c.shares[axis, :, :i, :j] = own.times, own.shares
        c.counts[axis, :i, :j] = own.counts
        c.overlaps[axis, :, : own.overlaps.shape[1]] = own.overlaps
    return c


@compiled()
def enter_options(
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
    for row in range(ranked.size):
        pick, to = ranked[row], start + row
        c.number[to], c.key[to] = pick, o.keys[o.key[pick]]
        c.splits[to, 0] = begin[o.spread[pick]]
        c.splits[to, 1] = o.split_counts[o.spread[pick]]
        for column in range(o.columns.size):
            term = t.term[column_of(o.columns[column])]
            if term >= 0:
                c.taken[to, term] = o.features[column, pick]


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
def begin(n: Numbers, f: Form, t: Terms, c: Choices, axis: int, s: State) -> None:
    """Begins an axis with the tiles of its option everywhere that they may be."""
    s.split[axis] = c.splits[s.row[axis], 0]
    for dim in range(2):
        s.tiles[axis, f.tensors.size, dim] = c.key[s.row[axis], dim]
    mend(n, f, axis, s)
    take(f, t, c, axis, s)


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
def take(f: Form, t: Terms, c: Choices, axis: int, s: State) -> None:
    """Writes down what an axis takes of all terms."""
    row, split, size = s.row[axis], s.split[axis], s.taken.shape[1]
    for k in range(size - 2):
        s.taken[axis, k] = c.taken[row, k]
    s.taken[axis, size - 2], s.taken[axis, size - 1] = c.places[split, 0], c.places[split, 1]
    own = s.taken[axis]
    for k in range(f.tensors.size):
        at = s.tiles[axis, k + 1, 0], s.tiles[axis, k + 1, 1]
        times = _visits(f, c, axis, k, s)
        _add(t, k, times, own)
        if k == f.risen and is_twice(f, axis):
            _add(t, RISEN, times, own)
        if k != f.risen:
            _add(t, MONOMIALS + k, c.shares[axis, f.tensors[k]][at], own)
            _add(t, FIRSTS + k, c.shares[axis, f.tensors[k]][at], own)
        if k == f.starts:
            for column in range(LEADS, LEADS + 3):
                _add(t, column, c.counts[axis][at], own)


@compiled(inline=True)
def _add(t: Terms, column: int, log: float, taken: Floats) -> None:
    """Adds to what is taken of a column, if it is a term."""
    if t.term[column] >= 0:
        taken[t.term[column]] += log


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


def write(
    n: Numbers, f: Form, options: tuple[Options, ...], c: Choices, s: State, leaf: Ints
) -> None:
    """Writes a nest down."""
    for axis, (o, row) in enumerate(zip(options, leaf, strict=True)):
        pick, split = c.number[s.row[axis]], s.split[axis] - c.splits[s.row[axis], 0]
        row[:2] = o.splits[o.spread[pick], split]
        row[2 : 2 + 2 * WIDTH] = o.ways[o.number[pick]].ravel()
        tiles = s.tiles[axis, : f.tensors.size + 1]
        above = row[2 + 2 * WIDTH :].reshape(-1, 2)[: len(tiles)]
        above[:, 0] = n.sizes[n.first[axis], tiles[:, 0]]
        above[:, 1] = n.sizes[n.second[axis], tiles[:, 1]] if n.second[axis] >= 0 else 1
