"""Options of all axes side by side: those of a structure that a part of it has left."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.inner import Options
from hwsim.search.tables import Tables

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Subset(NamedTuple):
    """Some of a structure's options: `rows` [axis] numbers of options, `barred` [axis, store, tile,
    tile] tiles above the array that are left out, `splits` [axis] numbers of the places along x and
    y, which cost nothing then, or -1 if they are not chosen."""

    rows: tuple[Ints, ...]
    barred: Flags
    splits: Ints


class Pool(NamedTuple):
    """The options of a subset, those of an axis from `begin[axis]` to `end[axis]`.

    `number` [option] among all of the axis, `spread` [option] the number of its places in Tables,
    `key` [option] its tiles above the array; `features` [used column, option], of which an axis has
    those `used` [axis, used column] and `columns` [used column] says which they are. `barred` and
    `splits` as in Subset.
    """

    begin: Ints
    end: Ints
    number: Ints
    spread: Ints
    key: Ints
    features: Floats
    columns: Ints
    used: Flags
    barred: Flags
    splits: Ints


def pool_of(t: Tables, options: tuple[Options, ...], held: Subset) -> Pool:
    """The options of a subset of those of all axes."""
    sizes = np.array([rows.size for rows in held.rows])
    end, total = np.cumsum(sizes), int(sizes.sum())
    columns = np.unique(np.concatenate([own.columns for own in options]))
    pool = Pool(
        end - sizes,
        end,
        np.empty(total, np.int64),
        np.empty(total, np.int64),
        np.empty(total, np.int64),
        np.zeros((columns.size, total)),
        columns,
        np.zeros((len(options), columns.size), np.bool_),
        held.barred,
        held.splits.copy(),
    )
    for axis, own in enumerate(options):
        enter(own, held.rows[axis], t.starts[axis], axis, pool)
    return pool


@compiled(allocates=False)
def enter(o: Options, rows: Ints, start: int, axis: int, p: Pool) -> None:
    """Writes down those of an axis' options, whose places have numbers from `start` on."""
    begin, column = p.begin[axis], 0
    for i in range(rows.size):
        p.number[begin + i] = rows[i]
        p.spread[begin + i] = start + o.spread[rows[i]]
        p.key[begin + i] = o.key[rows[i]]
    for c in range(p.columns.size):
        if column < o.columns.size and o.columns[column] == p.columns[c]:
            p.used[axis, c] = True
            for i in range(rows.size):
                p.features[c, begin + i] = o.features[column, rows[i]]
            column += 1


@compiled(inline=True)
def move(p: Pool, source: int, to: int) -> None:
    """Puts an option in the place of another one."""
    p.number[to], p.spread[to], p.key[to] = p.number[source], p.spread[source], p.key[source]
    for c in range(p.columns.size):
        p.features[c, to] = p.features[c, source]


@compiled(allocates=False)
def options_in(p: Pool) -> Any:
    """How many options there are."""
    found = 0
    for axis in range(6):
        found += p.end[axis] - p.begin[axis]
    return found


def rows_of(p: Pool) -> tuple[Ints, ...]:
    """The numbers of the options of each axis."""
    return tuple(p.number[a:b].copy() for a, b in zip(p.begin, p.end, strict=True))
