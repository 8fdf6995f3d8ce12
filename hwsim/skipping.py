"""Cycles of machines that skip zeros, counted from where the zeros are and never from an average.

Lanes (PEs, or columns of them) have unequal work as soon as zeros cost nothing, and a machine is as
fast as the lane that the others wait for. Three ways of waiting are modelled:

- `barrier_cycles`: all lanes wait at the end of each window of a mapping. `lane_work` counts what
  each lane does in each window from a layer's real zeros; `expected_cycles` draws them.
- `queue_cycles`: steps are broadcast into a queue before each lane, as in EIE (Han et al., ISCA
  2016, Sec. IV), and the sender waits while any queue is full. `column_entries` counts what a step
  gives each lane there, padding zeros of the relative index included.
- `packed_rounds`: rows of non-zeros are packed into rounds of a flexible array, as in SIGMA (Qin et
  al., HPCA 2020), and a round that is not full takes as long as one that is.

No cycle count falls below the busiest lane's work, and so none below `work / lanes`.
"""

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.mapping import Mapping, Store
from hwsim.workload import Layer

Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]
Table = dict[str, Integers]

WINDOW, LANE, ADDRESS = 0, 1, 2


def random_mask(shape: tuple[int, ...], *, density: float, seed: int) -> Mask:
    """Where a tensor is non-zero: each element by itself, with probability `density`."""
    mask: Mask = np.random.default_rng(seed).random(shape) < density
    return mask


# Windows of a mapping


def lane_work(
    layer: Layer,
    mapping: Mapping,
    *,
    sync: int,
    ifmap: Mask | None = None,
    weight: Mask | None = None,
) -> Integers:
    """MACs that are not skipped, [window, lane].

    A window is one turn of the temporal loops among the mapping's first `sync`; its lanes are the
    places of all spatial loops. `ifmap` [N, G C, H, W] and `weight` [G K, C, R, S] say where the
    operands are non-zero; a machine that does not skip one's zeros is given None. Where it skips
    the ifmap's, it skips those of the padding. Raises InputError on a mask of another size.
    """
    if not layer.weighted:
        raise InputError(f"layer {layer.name!r} multiplies by no weights: no zeros to skip")
    in_window = [index < sync and not loop.axis for index, loop in enumerate(mapping.loops)]
    window, windows = _places(layer, mapping, in_window)
    lane, lanes = _places(layer, mapping, [loop.axis is not None for loop in mapping.loops])
    field, address = _field(layer, ifmap)
    tables = window, lane, address
    work = np.zeros((windows, lanes), np.int64)
    kept = _sized(layer, "weight", weight).reshape([layer.bounds[dim] for dim in "GKCRS"])
    taps = np.moveaxis(kept, 1, -1).reshape(-1, layer.K)
    points = _sums(layer, tables, "NPQ")
    groups, group = np.unique(points[:ADDRESS], axis=1, return_inverse=True)
    _count(
        field,
        taps,
        _sums(layer, tables, "GCRS"),
        _sums(layer, tables, "K"),
        points[ADDRESS],
        group.ravel(),
        groups,
        work,
    )
    return work


def barrier_cycles(work: Integers) -> int:
    """Cycles of lanes with `work` [window, lane] that all wait for the last one in each window."""
    return int(work.max(axis=1, initial=0).sum())


def sync_point(mapping: Mapping, level: str) -> int:
    """Loops before the place where lanes wait that go on together whenever a tile of `level` does.

    That is its innermost store; the lanes of a mapping that does not use the level never wait.
    """
    names = {tensor for node in mapping if isinstance(node, Store) for tensor in node.tensors}
    stores = (store for tensor in names for store in mapping.stores(tensor))
    return max((before for name, before in stores if name == level), default=0)


def expected_cycles(
    layer: Layer, mapping: Mapping, *, sync: int, skipped: Iterable[str], seed: int = 0
) -> int:
    """Barrier cycles for zeros drawn with the densities of the `skipped` operands of a layer.

    The ifmap is drawn from `seed`, the weight from `seed + 1`.
    """
    shapes = {
        "ifmap": (layer.N, layer.G * layer.C, layer.H, layer.W),
        "weight": (layer.G * layer.K, layer.C, layer.R, layer.S),
    }
    drawn = {
        name: random_mask(shape, density=layer.tensor(name).density, seed=seed + turn)
        for turn, (name, shape) in enumerate(shapes.items())
        if name in skipped
    }
    work = lane_work(
        layer, mapping, sync=sync, ifmap=drawn.get("ifmap"), weight=drawn.get("weight")
    )
    return barrier_cycles(work)


def _places(layer: Layer, mapping: Mapping, chosen: list[bool]) -> tuple[Table, int]:
    """What each coordinate of a dimension adds to the number of its place among the chosen loops.

    Also, how many places there are.
    """
    rest = {dim: np.arange(bound, dtype=np.int64) for dim, bound in layer.bounds.items()}
    added = {dim: np.zeros_like(coordinates) for dim, coordinates in rest.items()}
    trips = mapping.trips(layer)
    places = step = prod(count for count, counts in zip(trips, chosen, strict=True) if counts)
    for loop, count, counts in zip(mapping.loops, trips, chosen, strict=True):
        digit, rest[loop.dim] = np.divmod(rest[loop.dim], loop.tile)
        if counts:
            step //= count
            added[loop.dim] += digit * step
    return added, places


def _field(layer: Layer, ifmap: Mask | None) -> tuple[Mask, Table]:
    """The ifmap as far as windows reach, padding included; what coordinates add to an address."""
    step = {"P": layer.stride_h, "R": layer.dilation_h, "Q": layer.stride_w, "S": layer.dilation_w}
    reach = {dim: np.arange(layer.bounds[dim]) * size for dim, size in step.items()}
    rows = int(reach["P"][-1] + reach["R"][-1]) + 1
    columns = int(reach["Q"][-1] + reach["S"][-1]) + 1
    maps = layer.N, layer.G, layer.C
    if ifmap is None:
        field = np.ones((*maps, rows, columns), bool)
    else:
        given = _sized(layer, "ifmap", ifmap).reshape(*maps, layer.H, layer.W)
        edges = ((0, 0), (0, 0), (0, 0), (layer.pad_h, rows), (layer.pad_w, columns))
        field = np.pad(given, edges)[..., :rows, :columns]
    spans = {"C": rows * columns, "G": layer.C * rows * columns, "P": columns, "R": columns}
    spans |= {"N": layer.G * spans["G"], "K": 0}
    address = {
        dim: reach.get(dim, np.arange(n)) * spans.get(dim, 1) for dim, n in layer.bounds.items()
    }
    return field.ravel(), address


def _sized(layer: Layer, tensor: str, mask: Mask | None) -> Mask:
    """The mask, or one without zeros where there is none."""
    words = layer.words(tensor)
    if mask is None:
        return np.ones(words, bool)
    if mask.dtype != np.bool_ or mask.size != words:
        raise InputError(
            f"layer {layer.name!r}: mask of {tensor}, {mask.size} x {mask.dtype}: "
            f"must be {words} x bool"
        )
    return mask


def _sums(layer: Layer, tables: Iterable[Table], dims: str) -> Integers:
    """[table, point] of all points of these dimensions, what their coordinates add up to."""
    at = np.indices([layer.bounds[dim] for dim in dims]).reshape(len(dims), -1)
    places = dict(zip(dims, at, strict=True))
    return np.array([sum(table[dim][places[dim]] for dim in dims) for table in tables])


@njit(cache=True)
def _count(
    field: Mask,
    taps: Mask,
    tap_places: Integers,
    filter_places: Integers,
    points: Integers,
    group: Integers,
    groups: Integers,
    work: Integers,
) -> None:
    """Adds 1 to `work` where a non-zero of `taps` [tap, filter] meets one of the field at a point.

    The other tables hold what taps, filters and points add to window, lane and address. Points that
    add the same to window and lane are a group, counted once for all filters.
    """
    met = np.zeros(groups.shape[1], np.int64)
    for tap in range(taps.shape[0]):
        met[:] = 0
        for point in range(points.size):
            met[group[point]] += field[tap_places[ADDRESS, tap] + points[point]]
        for k in range(taps.shape[1]):
            if taps[tap, k]:
                window = tap_places[WINDOW, tap] + filter_places[WINDOW, k]
                lane = tap_places[LANE, tap] + filter_places[LANE, k]
                for i in range(met.size):
                    work[window + groups[WINDOW, i], lane + groups[LANE, i]] += met[i]


# Queues behind a broadcast


def queue_cycles(work: Integers, *, depth: int) -> int:
    """Cycles of lanes with `work` [step, lane] behind queues that hold `depth` steps each.

    One step a cycle is put into all queues, unless at the beginning of the cycle one is full. A
    lane takes its next step from the cycle after on, when it is done with the one before. It spends
    a cycle even on a step in which it has nothing: to read where its non-zeros lie.
    """
    if depth < 1:
        raise InputError(f"depth = {depth}: must be at least 1")
    return int(_queue_cycles(np.maximum(work, 1), depth))


@njit(cache=True)
def _queue_cycles(work: Integers, depth: int) -> Any:
    steps, lanes = work.shape
    free = np.zeros(lanes, np.int64)
    taken = np.full((depth, lanes), -1)
    sent = -1
    for step in range(steps):
        slot = taken[step % depth]
        sent = max(sent, slot.max()) + 1
        for lane in range(lanes):
            slot[lane] = max(free[lane], sent + 1)
            free[lane] = slot[lane] + work[step, lane]
    return free.max()


def column_entries(weight: Mask, *, lanes: int, index_bits: int) -> Integers:
    """Entries of each column that each lane holds, [column, lane], of a matrix [row, column].

    Lane k owns rows k, k + lanes, ... An entry is a non-zero, or the padding zero that stands where
    the run of zeros before a non-zero fills `index_bits`. Runs begin anew with each column.
    """
    rows, columns = weight.shape
    own = -(-rows // lanes)
    padded = np.zeros((own * lanes, columns), bool)
    padded[:rows] = weight
    kept = padded.reshape(own, lanes, columns)
    at = np.arange(own, dtype=np.int32)[:, None, None]
    last = np.maximum.accumulate(np.where(kept, at, np.int32(-1)), axis=0)
    before = np.concatenate((np.full((1, lanes, columns), -1, np.int32), last[:-1]))
    entries = np.where(kept, 1 + ((at - before - 1) >> index_bits), 0)
    each: Integers = entries.sum(axis=0, dtype=np.int64).T
    return each


# Rounds of packed rows


def packed_rounds(nonzeros: Integers, *, multipliers: int, carried: int = 1) -> int:
    """Rounds that whole rows with so many `nonzeros` each take on an array of multipliers.

    Rows are packed in order; one that does not fit in what is left begins a new round. A row longer
    than the array has rounds to itself, and in all but the first of them `carried` multipliers
    bring in its psum. A row of zeros takes no room.
    """
    if not 0 <= carried < multipliers:
        raise InputError(f"carried = {carried}: must lie in 0..{multipliers - 1}")
    rounds, left = 0, 0
    for count in nonzeros.tolist():
        if count > multipliers:
            rounds += 1 + -(-(count - multipliers) // (multipliers - carried))
            left = 0
        elif count > left:
            rounds += 1
            left = multipliers - count
        else:
            left -= count
    return rounds
