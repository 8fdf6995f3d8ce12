"""Compiled sums over the steps of a loop nest, one tensor axis at a time.

An axis is one dimension, or two that index the ifmap together (P with R, Q with S). Its loops
outside a memory are rows (dim, tile, kind, most): which of the axis's dimensions, the tile size,
how the loop acts, and how many instances it has at most if spatial. The index of an axis element
under ofmap index a and filter index b is `a * stride + b * dilation`; it exists within
`first <= index < end`.

For an axis with n temporal loops two tables are summed, by how many of them (`depth`) enclose the
loop of the whole nest that advances:

- `stay[depth]`: that loop belongs to another axis; the axis's loops further in return from their
  last index to their first, in every state of those further out;
- `move[depth]`: the axis's own loop at that depth advances by one.

A row of a table holds four sums: indices that a group of sharing instances needs, those of them
that every instance in need already had, and the same two added up over single instances.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array1D = NDArray[np.int64]
Array2D = NDArray[np.int64]

TEMPORAL, SHARED, SEPARATE = 0, 1, 2
DIM, TILE, KIND, MOST = 0, 1, 2, 3
HAD, NEEDS, GROUP_NEEDS, GROUP_LACKS = 0, 1, 2, 3
STRIDE, DILATION, FIRST, END, RELEVANT = 0, 1, 2, 3, 4


@njit(cache=True)
def _extent(loops: Array2D, index: Array1D, bound: int, dim: int, end: int) -> Any:
    """(first, length) of a dimension inside the first `end` loops at `index`."""
    first, length = 0, bound
    for i in range(end):
        if loops[i, DIM] == dim:
            first += index[i] * loops[i, TILE]
            length = min(loops[i, TILE], length - index[i] * loops[i, TILE])
    return first, max(length, 0)


@njit(cache=True)
def _trips(loops: Array2D, index: Array1D, bounds: Array1D, i: int) -> Any:
    """Tiles that loop `i` goes through at `index`, spatial indices being zero."""
    _, length = _extent(loops, index, bounds[loops[i, DIM]], loops[i, DIM], i)
    return (length + loops[i, TILE] - 1) // loops[i, TILE]


@njit(cache=True)
def _advance(loops: Array2D, index: Array1D, bounds: Array1D, end: int) -> bool:
    """Moves the temporal loops before `end` to their next state; False after the last."""
    for i in range(end - 1, -1, -1):
        if loops[i, KIND] == TEMPORAL:
            if index[i] + 1 < _trips(loops, index, bounds, i):
                index[i] += 1
                return True
            index[i] = 0
    return False


@njit(cache=True)
def _finish(loops: Array2D, index: Array1D, bounds: Array1D, start: int) -> None:
    """Sets the temporal loops from `start` on to their last index."""
    for i in range(start, index.size):
        if loops[i, KIND] == TEMPORAL:
            index[i] = _trips(loops, index, bounds, i) - 1


@njit(cache=True)
def _next_instance(loops: Array2D, old: Array1D, new: Array1D, kind: int) -> bool:
    """Moves the spatial loops of one kind to their next instance; False after the last."""
    for i in range(new.size - 1, -1, -1):
        if loops[i, KIND] == kind:
            new[i] = (new[i] + 1) % loops[i, MOST]
            old[i] = new[i]
            if new[i]:
                return True
    return False


@njit(cache=True)
def _mark_had(
    loops: Array2D, old: Array1D, bounds: Array1D, geometry: Array1D, marks: Array2D, stamp: int
) -> None:
    """Stamps the indices of an instance's last tile."""
    a0, a_length = _extent(loops, old, bounds[0], 0, old.size)
    b0, b_length = _extent(loops, old, bounds[1], 1, old.size)
    for a in range(a0, a0 + a_length):
        for b in range(b0, b0 + b_length):
            at = a * geometry[STRIDE] + b * geometry[DILATION]
            if geometry[FIRST] <= at < geometry[END]:
                marks[HAD, at] = stamp


@njit(cache=True)
def _add_needs(
    loops: Array2D,
    new: Array1D,
    bounds: Array1D,
    geometry: Array1D,
    marks: Array2D,
    stamp: int,
    group: int,
    sums: Array1D,
) -> None:
    """Adds one instance's tile to its group's sums."""
    a0, a_length = _extent(loops, new, bounds[0], 0, new.size)
    b0, b_length = _extent(loops, new, bounds[1], 1, new.size)
    for a in range(a0, a0 + a_length):
        for b in range(b0, b0 + b_length):
            at = a * geometry[STRIDE] + b * geometry[DILATION]
            if at < geometry[FIRST] or at >= geometry[END] or marks[NEEDS, at] == stamp:
                continue
            marks[NEEDS, at] = stamp
            sums[2] += 1
            if marks[GROUP_NEEDS, at] != group:
                marks[GROUP_NEEDS, at] = group
                sums[0] += 1
                sums[1] += 1
            if marks[HAD, at] == stamp:
                sums[3] += 1
            elif marks[GROUP_LACKS, at] != group:
                marks[GROUP_LACKS, at] = group
                sums[1] -= 1


@njit(cache=True)
def _add_step(
    loops: Array2D,
    old: Array1D,
    new: Array1D,
    bounds: Array1D,
    geometry: Array1D,
    marks: Array2D,
    clock: Array1D,
    sums: Array1D,
) -> None:
    """Adds one step, from temporal state `old` to `new`, over all instances, to `sums`."""
    separate = True
    while separate:
        group = clock[0] + 1
        shared = True
        while shared:
            clock[0] += 1
            _mark_had(loops, old, bounds, geometry, marks, clock[0])
            _add_needs(loops, new, bounds, geometry, marks, clock[0], group, sums)
            shared = _next_instance(loops, old, new, SHARED)
        separate = _next_instance(loops, old, new, SEPARATE)


@njit(cache=True)
def _axis_sums(
    loops: Array2D,
    bounds: Array1D,
    geometry: Array1D,
    marks: Array2D,
    clock: Array1D,
    stay: Array2D,
    move: Array2D,
) -> None:
    """Fills the tables of one axis."""
    depth, size = 0, loops.shape[0]
    for end in range(size + 1):
        if end < size and loops[end, KIND] != TEMPORAL:
            continue
        prefix = np.zeros(size, np.int64)
        more = True
        while more:
            old, new = prefix.copy(), prefix.copy()
            _finish(loops, old, bounds, end)
            _add_step(loops, old, new, bounds, geometry, marks, clock, stay[depth])
            trips = _trips(loops, prefix, bounds, end) if end < size else 0
            for tile in range(1, trips):
                old, new = prefix.copy(), prefix.copy()
                old[end], new[end] = tile - 1, tile
                _finish(loops, old, bounds, end + 1)
                _add_step(loops, old, new, bounds, geometry, marks, clock, move[depth])
            more = _advance(loops, prefix, bounds, end)
        depth += 1


@njit(cache=True)
def _all_steps(
    loops: Array2D,
    bounds: Array1D,
    geometry: Array1D,
    marks: Array2D,
    clock: Array1D,
    sums: Array1D,
) -> None:
    """Adds every state of one axis to `sums`, as if it were the first."""
    state, more = np.zeros(loops.shape[0], np.int64), True
    while more:
        _add_step(loops, state, state.copy(), bounds, geometry, marks, clock, sums)
        more = _advance(loops, state, bounds, loops.shape[0])


@njit(cache=True)
def _static_sums(loops: Array2D, bounds: Array1D, stay: Array2D, move: Array2D) -> None:
    """Fills the tables of an axis that the tensor does not have: its tile outlives every step."""
    depth, size = 0, loops.shape[0]
    for end in range(size + 1):
        if end < size and loops[end, KIND] != TEMPORAL:
            continue
        prefix = np.zeros(size, np.int64)
        more = True
        while more:
            _add_instances(loops, 1, stay[depth])
            if end < size:
                _add_instances(loops, _trips(loops, prefix, bounds, end) - 1, move[depth])
            more = _advance(loops, prefix, bounds, end)
        depth += 1


@njit(cache=True)
def _add_instances(loops: Array2D, times: int, sums: Array1D) -> None:
    """Adds the number of sharing groups and of instances, `times` over, as the four sums."""
    groups, instances = times, times
    for i in range(loops.shape[0]):
        if loops[i, KIND] == SEPARATE:
            groups *= loops[i, MOST]
        if loops[i, KIND] != TEMPORAL:
            instances *= loops[i, MOST]
    for column in range(4):
        sums[column] += groups if column < 2 else instances


@njit(cache=True)
def _axis_loops(loops: Array2D, axis_of: Array1D, axis: int) -> Any:
    """The rows of one axis, their dimension replaced by 0 (the axis's own) or 1."""
    rows, count = np.zeros(loops.shape, np.int64), 0
    for i in range(loops.shape[0]):
        if axis_of[loops[i, DIM]] == axis:
            rows[count, DIM] = 0 if loops[i, DIM] == axis else 1
            for column in range(TILE, MOST + 1):
                rows[count, column] = loops[i, column]
            count += 1
    return rows[:count]


@njit(cache=True)
def _axis_bounds(bounds: Array1D, axis_of: Array1D, axis: int) -> Array1D:
    """The loop bounds of an axis's own dimension and of the one that joins it, or 1."""
    pair = np.ones(2, np.int64)
    for dim in range(bounds.size):
        if axis_of[dim] == axis:
            pair[0 if dim == axis else 1] = bounds[dim]
    return pair


@njit(cache=True)
def _tables(
    bounds: Array1D, loops: Array2D, axis_of: Array1D, geometry: Array2D, keeps: bool
) -> Any:
    """The tables `stay` and `move` of every axis, and its sums at the very first step.

    Where nothing is kept, every step is a first one: `first` holds all and the tables nothing.
    """
    stay = np.zeros((bounds.size, loops.shape[0] + 1, 4), np.int64)
    move = np.zeros((bounds.size, loops.shape[0] + 1, 4), np.int64)
    first = np.zeros((bounds.size, 4), np.int64)
    longest = 1
    for axis in range(bounds.size):
        longest = max(longest, geometry[axis, END])
    marks, clock = np.zeros((4, longest), np.int64), np.zeros(1, np.int64)
    for axis in range(bounds.size):
        if axis_of[axis] != axis:
            continue
        own, pair = _axis_loops(loops, axis_of, axis), _axis_bounds(bounds, axis_of, axis)
        row = geometry[axis]
        if not keeps:
            _all_steps(own, pair, row, marks, clock, first[axis])
        elif row[RELEVANT]:
            state = np.zeros(own.shape[0], np.int64)
            _add_step(own, state, state.copy(), pair, row, marks, clock, first[axis])
            _axis_sums(own, pair, row, marks, clock, stay[axis], move[axis])
        else:
            _add_instances(own, 1, first[axis])
            _static_sums(own, pair, stay[axis], move[axis])
    return stay, move, first


@njit(cache=True)
def _product(
    stay: NDArray[np.int64], depth: Array1D, axis_of: Array1D, skip: int, column: int
) -> int:
    """The product of one column of `stay` over the axes, each at its depth, but for one."""
    product = 1
    for axis in range(axis_of.size):
        if axis != skip and axis_of[axis] == axis:
            product *= stay[axis, depth[axis], column]
    return product


@njit(cache=True)
def link_totals(
    bounds: Array1D, loops: Array2D, axis_of: Array1D, geometry: Array2D, keeps: bool
) -> Any:
    """(words by shared reads, words summed over instances) that a memory is sent in all.

    `bounds`: the eight loop bounds. `loops`: those outside the memory, outermost first, with the
    dimension's index in the first column. `axis_of`: each dimension's axis, itself or the one it
    joins. `geometry`: a row (stride, dilation, first, end, relevant) a dimension, used where it is
    an axis; an irrelevant one has the single index 0. `keeps`: whether a tile outlives its step.
    """
    stay, move, first = _tables(bounds, loops, axis_of, geometry, keeps)
    depth = np.zeros(bounds.size, np.int64)
    totals = np.ones(2, np.int64)
    for axis in range(bounds.size):
        if axis_of[axis] == axis:
            totals[0] *= first[axis, 0]
            totals[1] *= first[axis, 2]
    for i in range(loops.shape[0]):
        if keeps and loops[i, KIND] == TEMPORAL:
            moving = axis_of[loops[i, DIM]]
            for column in range(4):
                words = move[moving, depth[moving], column]
                words *= _product(stay, depth, axis_of, moving, column)
                totals[column // 2] += words if column % 2 == 0 else -words
            depth[moving] += 1
    return totals[0], totals[1]


@njit(cache=True)
def total_steps(bounds: Array1D, loops: Array2D) -> int:
    """Time steps of a nest: every state of its temporal loops."""
    total, axis_of = 1, np.arange(bounds.size)
    for axis in range(bounds.size):
        own, pair = _axis_loops(loops, axis_of, axis), _axis_bounds(bounds, axis_of, axis)
        state, states = np.zeros(own.shape[0], np.int64), 1
        while _advance(own, state, pair, own.shape[0]):
            states += 1
        total *= states
    return total
