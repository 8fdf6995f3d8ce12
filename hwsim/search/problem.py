"""A layer on a machine, and its structures, as the arrays that the compiled search works with."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.constraints import FREE, Constraints
from hwsim.hardware import Accelerator
from hwsim.mapping import kept_bits
from hwsim.search.structures import Structure, inner_levels
from hwsim.workload import DIMS, RELEVANT, TENSORS, Layer

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Two dimensions that index the ifmap together are chosen together.
AXES = (("P", "R"), ("Q", "S"), ("C", ""), ("K", ""), ("N", ""), ("G", ""))
# Stores above the array and within, at most.
OUTER, INNER = 8, 6
# Monomials: words of each store above the array; of each within, all together, and summed over
# places; of a pad that rose above the array, summed; of MACs that no pad feeds, by tensor; steps;
# of the first tiles in the pads at all starts of the pipeline, by tensor; of a tile of each store
# above the array.
TOGETHER, SUMMED, RISEN = OUTER, OUTER + INNER, OUTER + 2 * INNER
MACS = RISEN + 1
STEPS = MACS + len(TENSORS)
LEADS = STEPS + 1
FIRSTS = LEADS + len(TENSORS)
MONOMIALS = FIRSTS + OUTER
# More than any tile spans.
UNLIMITED = 2**62
# Rows where all lie in padding, so that they have a logarithm.
NONE = 1e-12
# Tiles that fill memories: of each store above the array, of each within, of the risen one.
RISEN_TILE = OUTER + INNER
TILES = RISEN_TILE + 1


class Numbers(NamedTuple):
    """A layer on a machine.

    `first`, `second` [axis]: the dimensions of an axis, -1 for none; `bounds` [8]; `logs` of
    whole numbers as large as any tile or place; `sizes` [8, most] tile sizes, largest first, of
    which `counts` [8], and `wide` those of an axis' second dimension at most; `rows_h` [P + 1,
    R + 1] and `rows_w` [Q + 1, S + 1]: logarithms of the ifmap rows (columns) that are sent at
    least in so many tiles along either dimension, and `each_h`, `each_w` for one of no more than so
    many tiles, on the mean; `steps` [2, 2] stride and dilation, and `coprime` [2, 2] without what
    divides both; `span` [2] padded ifmap size; `x`, `y` places along the array's axes, and `along`
    [8, 2] whether loops over either may step through a dimension; `room` [memory] bits; `shared`
    [3] whether one word serves all places; `lacks` [3, 8] whether a tensor lacks a dimension;
    `skips`: PEs skip zeros, and work may fall evenly on all places, however ragged tiles are.
    """

    first: Ints
    second: Ints
    bounds: Ints
    logs: Floats
    sizes: Ints
    counts: Ints
    wide: int
    rows_h: Floats
    rows_w: Floats
    each_h: Floats
    each_w: Floats
    steps: Ints
    coprime: Ints
    span: Ints
    x: int
    y: int
    along: Flags
    room: Floats
    shared: Flags
    lacks: Flags
    skips: bool


class Form(NamedTuple):
    """A structure.

    Stores above the array: `tensors` [store], and `masks` [slot, 8] the dimensions of the loops
    before each and after the last; `risen`: which of them is a pad that rose, or -1. Within:
    `inner_*` likewise.
    `macs` [3]: whether MACs take a tensor from above the array. `slides` [store]: axis along which
    the ifmap slides there, or -1. `memory` [tile]: where a tile lies, or -1; `bits` [tile]: of one
    element of it; `most` [tile, 8]: how much of each dimension it spans at most. `starts`: the
    store with each of whose tiles the pipeline starts anew, OUTER further on within the array, or
    -1; `leads` [3]: the tile of a tensor that PEs wait for at each start, or -1.
    """

    tensors: Ints
    masks: Flags
    risen: int
    inner_tensors: Ints
    inner_masks: Flags
    macs: Flags
    slides: Ints
    memory: Ints
    bits: Floats
    most: Ints
    starts: int
    leads: Ints


def tile_sizes(bound: int) -> list[int]:
    """The smallest tile for each number of tiles, largest first."""
    sizes, tile = [], bound
    while tile:
        tile = -(-bound // -(-bound // tile))
        sizes.append(tile)
        tile -= 1
    return sizes


def windows(layer: Layer) -> frozenset[str]:
    """Dimensions that slide over the ifmap."""
    return frozenset(
        dim for pair in ("PR", "QS") for dim in pair if min(layer.bounds[d] for d in pair) > 1
    )


def numbers(layer: Layer, machine: Accelerator, constraints: Constraints = FREE) -> Numbers:
    """The numbers of a layer, as it is given, on a machine."""
    sizes = [tile_sizes(layer.bounds[dim]) for dim in DIMS]
    table = np.zeros((8, max(map(len, sizes))), np.int64)
    for row, own in zip(table, sizes, strict=True):
        row[: len(own)] = own
    array = machine.arrays[0] if machine.arrays else None
    places = [*(array.axes.values() if array else ()), 1, 1]
    most = max(*layer.bounds.values(), layer.H + 2 * layer.pad_h, layer.W + 2 * layer.pad_w)
    most = max(most, places[0] * places[1])
    index = {dim: at for at, dim in enumerate(DIMS)}
    heights = (layer.P, layer.R, layer.stride_h, layer.dilation_h, layer.pad_h, layer.H)
    widths = (layer.Q, layer.S, layer.stride_w, layer.dilation_w, layer.pad_w, layer.W)
    rows_h, rows_w = (
        np.log(_rows(*side, stored=machine.stores_padding)) for side in (heights, widths)
    )
    steps = np.array([heights[2:4], widths[2:4]], np.int64)
    return Numbers(
        first=np.array([index[a] for a, _ in AXES], np.int64),
        second=np.array([index.get(b, -1) for _, b in AXES], np.int64),
        bounds=np.array([layer.bounds[dim] for dim in DIMS], np.int64),
        logs=np.log(np.maximum(np.arange(most + 1), 1)),
        sizes=table,
        counts=np.array([len(own) for own in sizes], np.int64),
        wide=max(len(sizes[index[second]]) for _, second in AXES if second),
        rows_h=rows_h,
        rows_w=rows_w,
        each_h=_of_each(rows_h),
        each_w=_of_each(rows_w),
        steps=steps,
        coprime=steps // np.gcd.reduce(steps, axis=1, keepdims=True),
        span=np.array([layer.H + 2 * layer.pad_h, layer.W + 2 * layer.pad_w], np.int64),
        x=places[0],
        y=places[1],
        along=_along(machine, constraints),
        room=_room(machine),
        shared=np.array([array is None or t in array.shared for t in TENSORS], np.bool_),
        lacks=np.array([[dim not in RELEVANT[t] for dim in DIMS] for t in TENSORS], np.bool_),
        skips=bool(machine.mac.zero_skipping),
    )


def _rows(
    tiles: int, window: int, stride: int, dilation: int, pad: int, size: int, *, stored: bool
) -> Floats:
    """Rows sent, at least, in x tiles of the ofmap's rows by y tiles of the filter's.

    A pair of intervals of a and b indices touches a b - max(a - d, 0) max(b - s, 0) rows for
    coprime stride s and dilation d (`mapping.ifmap_extent`). With d = 1 and given x that is concave
    in b, so that the sum over all pairs is least where all tiles of the filter but one are single
    rows; likewise with s = 1. Sets that are no intervals touch a + b - 1 rows at least.
    """
    x = np.arange(tiles + 1)[:, None]
    y = np.arange(window + 1)[None, :]
    if dilation == 1:
        found = _concave(tiles, x, window - y + 1, stride) + (y - 1) * _concave(tiles, x, 1, stride)
    elif stride == 1:
        found = _concave(window, y, tiles - x + 1, dilation)
        found = found + (x - 1) * _concave(window, y, 1, dilation)
    else:
        found = y * tiles + x * window - x * y
    first, end = (0, size + 2 * pad) if stored else (pad, size + pad)
    at = np.arange(tiles)[:, None] * stride + np.arange(window)[None, :] * dilation
    outside = int(((at < first) | (at >= end)).sum())
    least = len(np.unique(at[(at >= first) & (at < end)]))
    rows: Floats = np.maximum(np.maximum(found - outside, least), NONE).astype(np.float64)
    return rows


def _concave(tiles: int, x: Ints, b: Ints | int, stride: int) -> Ints:
    """Rows of x tiles with one tile of b filter rows."""
    found: Ints = np.where(np.less(b, stride), tiles * np.asarray(b), stride * (tiles - x) + x * b)
    return found


def _of_each(rows: Floats) -> Floats:
    """The least of logarithms of rows, shared out to all tiles, of no more tiles than x by y."""
    x, y = (np.log(np.maximum(np.arange(size), 1)) for size in rows.shape)
    shared = rows - x[:, None] - y[None, :]
    shared[0], shared[:, 0] = np.inf, np.inf
    found: Floats = np.minimum.accumulate(np.minimum.accumulate(shared, axis=0), axis=1)
    return found


def _along(machine: Accelerator, constraints: Constraints) -> Flags:
    """Whether loops over either axis of the array may step through a dimension [8, 2]."""
    found = np.ones((len(DIMS), 2), np.bool_)
    for array in machine.arrays:
        for at, axis in enumerate(array.axes):
            found[:, at] = [dim in constraints.spatial.get(axis, DIMS) for dim in DIMS]
    return found


def _room(machine: Accelerator) -> Floats:
    """Bits that each memory has for tiles, in the order of `memory_number`."""
    rooms = [memory.usable_bits for level in machine.levels for memory in level.memories]
    found: Floats = np.array(rooms, np.float64)
    return found


def memory_number(machine: Accelerator, level: int, tensor: str) -> int:
    """The place of a tensor's memory at a level among all memories."""
    count = 0
    for at, part in enumerate(machine.levels):
        for memory in part.memories:
            if at == level and tensor in memory.tensors:
                return count
            count += 1
    raise KeyError(tensor)


def form(
    structure: Structure,
    layer: Layer,
    machine: Accelerator,
    slides: tuple[int, ...],
    *,
    timed: bool,
    constraints: Constraints = FREE,
) -> Form:
    """A structure of the layer; `slides`: the axis along which the ifmap slides at each of its
    stores; `timed`: whether waits count."""
    outer, inner = structure.outer, structure.inner
    memory, bits = np.full(TILES, -1, np.int64), np.zeros(TILES)
    most = np.full((TILES, len(DIMS)), UNLIMITED)
    at_tile = {OUTER + j: kept for j, kept in enumerate(inner)}
    for k, kept in enumerate(outer):
        at_tile[RISEN_TILE if k == structure.risen else k] = kept
    for tile, kept in at_tile.items():
        memory[tile] = memory_number(machine, kept.level, kept.tensor)
        place = machine.levels[kept.level].memory(kept.tensor)
        assert place is not None
        bits[tile] = kept_bits(layer, place, kept.tensor)
        bits[tile] *= layer.operands if kept.tensor == "ifmap" else 1
        for dim, limit in constraints.tiles.get(machine.levels[kept.level].level, {}).items():
            if dim in RELEVANT[kept.tensor]:
                most[tile, DIMS.index(dim)] = limit
    last = {
        t: max((k.level for k in structure.stores if k.tensor == t), default=0) for t in TENSORS
    }
    split = inner_levels(machine)
    ways = iter(slides)
    return Form(
        tensors=np.array([TENSORS.index(k.tensor) for k in outer], np.int64),
        masks=_masks(structure.outer_slots),
        risen=-1 if structure.risen is None else structure.risen,
        inner_tensors=np.array([TENSORS.index(k.tensor) for k in inner], np.int64),
        inner_masks=_masks(structure.inner_slots),
        macs=np.array([t in layer.tensors and last[t] < split for t in TENSORS], np.bool_),
        slides=np.array(
            [next(ways) if k.tensor == "ifmap" else -1 for k in structure.stores], np.int64
        ),
        memory=memory,
        bits=bits,
        most=most,
        starts=_number(structure, structure.restarting) if timed else -1,
        leads=np.array([lead_tile(structure, t) if timed else -1 for t in TENSORS], np.int64),
    )


def _number(structure: Structure, place: int | None) -> int:
    """A store by its place in the nest, those within the array from OUTER on; -1 for none."""
    count = len(structure.outer)
    if place is None:
        return -1
    return place if place < count else OUTER + place - count


def lead_tile(structure: Structure, tensor: str) -> int:
    """The tile of a tensor's outermost pad, if the pipeline starts above it; or else -1."""
    count, after = len(structure.outer), structure.restarting
    for place, kept in enumerate(structure.stores):
        pad = place >= count or place == structure.risen
        if pad and kept.tensor == tensor:
            number = RISEN_TILE if place < count else _number(structure, place)
            return number if after is None or place > after else -1
    return -1


def _masks(slots: tuple[frozenset[str], ...]) -> Flags:
    return np.array([[dim in slot for dim in DIMS] for slot in slots], np.bool_)
