"""Sets of classes, one an axis: of places on the array, or of tiles at a store above it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.chains import to_go
from hwsim.search.outer import BIG, Scratch
from hwsim.search.pool import Pool
from hwsim.search.problem import Form, Numbers
from hwsim.search.scores import Weights
from hwsim.search.tables import Tables, tile_counts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# What classes are of, if not of tiles at a store of that number.
ON_ARRAY = -1


class Sets(NamedTuple):
    """Sets of classes: `bounds` [set], the lowest first, `classes` [set, axis], those of an axis
    numbers from `starts[axis]` to `starts[axis + 1]`, and of places `splits` [set, axis]. Classes
    are of tiles at `store`, or of places; an axis that has one holds all of its tiles."""

    bounds: Floats
    classes: Ints
    splits: Ints
    starts: Ints
    store: int


class Groups(NamedTuple):
    """A part's options; by places those of class s are from `starts[s]` to `starts[s + 1]`.
    `barred` as in its Subset."""

    pool: Pool
    starts: Ints
    barred: Flags


def grouped(t: Tables, p: Pool) -> Groups:
    """Options by their places."""
    order = np.argsort(p.spread, kind="stable")
    pool = p._replace(
        begin=p.begin.copy(),
        end=p.end.copy(),
        number=p.number[order],
        spread=p.spread[order],
        key=p.key[order],
        features=p.features.take(order, axis=1),
        splits=p.splits.copy(),
        barred=p.barred.copy(),
    )
    starts = np.searchsorted(pool.spread, np.arange(t.split_counts.size + 1))
    return Groups(pool, starts, p.barred)


@compiled(allocates=False)
def is_parted(starts: Ints, axis: int) -> Any:
    """Whether an axis has more than one class."""
    return starts[axis + 1] > starts[axis] + 1


@compiled(allocates=False)
def take(n: Numbers, g: Groups, sets: Sets, at: int) -> None:
    """Leaves a set alone in the pool."""
    p = g.pool
    for axis in range(6):
        own = sets.classes[at, axis]
        if sets.store == ON_ARRAY:
            p.begin[axis], p.end[axis] = g.starts[own], g.starts[own + 1]
            p.splits[axis] = sets.splits[at, axis]
        elif is_parted(sets.starts, axis):
            bar_others(n, own - sets.starts[axis], p.barred[axis, sets.store])


@compiled(allocates=False)
def bar_others(n: Numbers, key: int, barred: Flags) -> None:
    """Bars all tiles [tile, tile] but one."""
    for i in range(barred.shape[0]):
        for j in range(barred.shape[1]):
            barred[i, j] = i * n.wide + j != key


@compiled()
def take_all(t: Tables, g: Groups, sets: Sets) -> None:
    """Puts everything into the pool again; places that were chosen go on to cost nothing."""
    for axis in range(6):
        if sets.store == ON_ARRAY:
            g.pool.begin[axis] = g.starts[t.starts[axis]]
            g.pool.end[axis] = g.starts[t.starts[axis + 1]]
        else:
            g.pool.barred[axis, sets.store] = g.barred[axis, sets.store]


@compiled()
def least_scores(
    n: Numbers,
    f: Form,
    t: Tables,
    p: Pool,
    store: int,
    starts: Ints,
    w: Weights,
    s: Scratch,
    least: Floats,
) -> None:
    """Fills in the least score with each class, where `s.scores` are those at weights."""
    least[:] = BIG
    for axis in range(6):
        first, last = starts[axis], starts[axis + 1]
        if store != ON_ARRAY and is_parted(starts, axis):
            _by_tiles(n, f, t, p, axis, store, w, s, least[first:last])
        else:
            for i in range(p.begin[axis], p.end[axis]):
                own = p.spread[i] if store == ON_ARRAY else first
                least[own] = min(least[own], s.scores[i])


@compiled()
def _by_tiles(
    n: Numbers,
    f: Form,
    t: Tables,
    p: Pool,
    axis: int,
    store: int,
    w: Weights,
    s: Scratch,
    least: Floats,
) -> None:
    """Fills in the least score of an axis with each tile at a store [key]."""
    options = np.arange(p.begin[axis], p.end[axis])
    togo = to_go(n, f, t, p, axis, options[s.scores[options] < BIG / 2], w, s)[store + 1]
    before = s.best[axis, store + 1]
    c0, c1 = tile_counts(n, axis)
    for i in range(c0):
        for j in range(c1):
            if before[i, j] < BIG / 2 and togo[i, j] < BIG / 2:
                least[i * n.wide + j] = before[i, j] + togo[i, j]
