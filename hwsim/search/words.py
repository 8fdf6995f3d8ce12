"""Words of the links of many mappings of a layer: `hwsim.reuse`, compiled.

What is counted, and why, is written there: every number here is that of `hwsim.traffic.transfers`,
`hwsim.latency.restarts` and `hwsim.reuse.compute_steps`. Numbers of tensors and levels, and columns
of words, are those of `hwsim.search.clock`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hwsim._compiled import compiled
from hwsim._nest import MOVER, SEPARATE, SHARED, TEMPORAL, tile_table, words_of_tables
from hwsim.hardware import Accelerator
from hwsim.mapping import Loop, Mapping
from hwsim.search.clock import COLLECTED, DELIVERED, OFMAP, READS, WRITES, Floats, Ints, Records
from hwsim.search.ways import IFMAP
from hwsim.workload import DIMS, RELEVANT, TENSORS, Layer

P, Q, R = (DIMS.index(dim) for dim in "PQR")
NEEDS = np.array([[dim in RELEVANT[tensor] for dim in DIMS] for tensor in TENSORS])
# A node is a loop (dimension, tile, axis or TIME), or a store (STORE, level, tensors as bits).
STORE = TIME = OUT = -1
# Rows of a nest's loops: what they are, how a link sees them (see `hwsim._nest`), and whether
# they are counted: 1, 0, or OUT where they are left out.
DIM, TILE, AXIS, TRIPS, KIND, COUNTS = range(6)
# Rows of `Words.links`, and of its `tiles`.
TENSOR, PARENT, CHILD, ABOVE, BELOW = range(5)
FIRST, EACH = range(2)
# Columns of `Ground.windows`.
STEP, DILATION, BEGIN, END, MOST = range(5)
# Windows that are remembered, and the longest of them.
SLOTS, KEY = 256, 24


class Ground(NamedTuple):
    """A layer on a machine, as words depend on it.

    `bounds` [dimension]; `windows` [2, 5]: of rows and of columns the two steps, where what is
    fetched begins and ends, and how many there are with padding; `tensors` [tensor]: how many of a
    kind the layer has; `shared` [axis, tensor]; `keys` [slot, KEY]: windows that were counted, and
    `known` [slot, 2] what they came to, which `count` fills.
    """

    bounds: Ints
    windows: Ints
    tensors: Ints
    shared: Ints
    keys: Ints
    known: Ints


class Words(NamedTuple):
    """The links of all mappings, of mapping i those from `begin[i]` on, in the order of
    `hwsim.reuse.access_counts`.

    `links` [TENSOR, PARENT, CHILD, ABOVE, BELOW; link]: what a link is, and instances at its ends;
    `words` [link, 4]; `tiles` [FIRST, EACH; link]: first tiles' words, and one's; `starts`
    [mapping]; `steps` [mapping, 2]: of loops through the ofmap's dimensions, and of all others.
    """

    begin: Ints
    links: Ints
    words: Floats
    tiles: Floats
    starts: Ints
    steps: Ints


def ground(layer: Layer, machine: Accelerator) -> Ground:
    """A layer on a machine as numbers."""
    steps = (layer.stride_h, layer.dilation_h), (layer.stride_w, layer.dilation_w)
    sizes = (layer.H, layer.pad_h), (layer.W, layer.pad_w)
    padded = machine.stores_padding
    spans = [(0, n + 2 * pad) if padded else (pad, n + pad) for n, pad in sizes]
    most = [size + 2 * pad for size, pad in sizes]
    copies = {"ifmap": layer.operands, "weight": int(layer.weighted), "ofmap": 1}
    shared = [[tensor in own for tensor in TENSORS] for own in machine.shared.values()]
    return Ground(
        bounds=np.array(list(layer.bounds.values())),
        windows=np.array([(*steps[side], *spans[side], most[side]) for side in range(2)]),
        tensors=np.array([copies[tensor] for tensor in TENSORS]),
        shared=np.array(shared, np.int64).reshape(-1, len(TENSORS)),
        keys=np.zeros((SLOTS, KEY), np.int64),
        known=np.zeros((SLOTS, 2), np.int64),
    )


def count(
    ground: Ground, known: Records, mappings: Sequence[Mapping], machine: Accelerator
) -> Words:
    """The words of valid mappings of a layer; `known` are the links of its `clock.Timing`."""
    nodes, begin = _nodes(mappings, machine)
    return Words(*count_all(ground, known, nodes, begin))


def _nodes(mappings: Sequence[Mapping], machine: Accelerator) -> tuple[Ints, Ints]:
    """All nodes, and where each mapping's begin."""
    levels = {level.level: number for number, level in enumerate(machine.levels)}
    axes: dict[str | None, int] = {axis: number for number, axis in enumerate(machine.shared)}
    dims = {dim: number for number, dim in enumerate(DIMS)}
    bits = {tensor: 1 << number for number, tensor in enumerate(TENSORS)}
    nodes = [
        (dims[node.dim], node.tile, axes.get(node.axis, TIME))
        if isinstance(node, Loop)
        else (STORE, levels[node.level], sum(bits[tensor] for tensor in node.tensors))
        for mapping in mappings
        for node in mapping.nodes
    ]
    return np.array(nodes), np.cumsum([0, *(len(mapping.nodes) for mapping in mappings)])


@compiled()
def count_all(g: Ground, known: Records, nodes: Ints, begin: Ints) -> Any:
    mappings, total = begin.size - 1, 0
    ends = np.empty(mappings + 1, np.int64)
    for m in range(mappings):
        ends[m] = total
        for node in range(begin[m], begin[m + 1]):
            for tensor in range(3):
                total += (
                    nodes[node, DIM] == STORE
                    and g.tensors[tensor] > 0
                    and ((nodes[node, 2] >> tensor) & 1)
                )
    ends[mappings] = total
    links, tiles = np.empty((5, total), np.int64), np.empty((2, total))
    words = np.zeros((total, 4))
    starts, steps = np.ones(mappings, np.int64), np.ones((mappings, 2), np.int64)
    for m in range(mappings):
        own = nodes[begin[m] : begin[m + 1]]
        nest, at = _nest(g, own), ends[m]
        loops = _ends(g, own, known.shape[2] - 1, links, at)
        fills = 0
        for link in range(at, ends[m + 1]):
            above, below = loops[link - at]
            to_macs = links[CHILD, link] == known.shape[2] - 1
            _see(g, nest, links[TENSOR, link], above, below, to_macs)
            _link(g, nest, links[:, link], above, below, to_macs, words[link])
            _tiles(g, nest, above, below, link, links, tiles)
            if known[links[TENSOR, link], links[PARENT, link], links[CHILD, link]].stalls:
                fills = max(fills, _refilling(nest, links[TENSOR, link], below))
        for i in range(nest.shape[1]):
            nest[COUNTS, i] = nest[AXIS, i] == TIME
        for dim in range(g.bounds.size):
            starts[m] *= _states(g.bounds[dim], dim, nest, fills)
            steps[m, 1 - NEEDS[OFMAP, dim]] *= _states(g.bounds[dim], dim, nest, nest.shape[1])
    return ends, links, words, tiles, starts, steps


@compiled()
def _nest(g: Ground, nodes: Ints) -> Any:
    """A mapping's loops, [row, loop]."""
    loops, extent = 0, g.bounds.copy()
    for node in range(nodes.shape[0]):
        loops += nodes[node, DIM] != STORE
    nest, i = np.empty((6, loops), np.int64), 0
    for node in range(nodes.shape[0]):
        dim, tile = nodes[node, DIM], nodes[node, TILE]
        if dim != STORE:
            nest[DIM, i], nest[TILE, i], nest[AXIS, i] = dim, tile, nodes[node, AXIS]
            nest[TRIPS, i] = -(-extent[dim] // tile)
            extent[dim] = min(extent[dim], tile)
            i += 1
    return nest


@compiled()
def _ends(g: Ground, nodes: Ints, macs: int, links: Ints, at: int) -> Any:
    """Writes down which links a mapping has; the loops above both ends of each."""
    found, count = np.empty((3 * nodes.shape[0], 2), np.int64), 0
    for tensor in range(3):
        loops, begun = 0, False
        for node in range(nodes.shape[0] * (g.tensors[tensor] > 0)):
            if nodes[node, DIM] != STORE:
                loops += 1
            elif (nodes[node, 2] >> tensor) & 1:
                if begun:
                    links[CHILD, at + count], found[count, 1] = nodes[node, 1], loops
                    count += 1
                links[TENSOR, at + count], links[PARENT, at + count] = tensor, nodes[node, 1]
                found[count, 0], begun = loops, True
        if begun:
            links[CHILD, at + count], found[count, 1] = macs, loops
            count += 1
    return found


@compiled()
def _refilling(nest: Ints, tensor: int, count: int) -> Any:
    """`hwsim.reuse.refilling`."""
    for i in range(count - 1, -1, -1):
        if nest[TRIPS, i] > 1 and nest[AXIS, i] == TIME and NEEDS[tensor, nest[DIM, i]]:
            return i + 1
    return 0


@compiled()
def _see(g: Ground, nest: Ints, tensor: int, above: int, below: int, to_macs: bool) -> None:
    """The kinds of loops above a child, OUT for temporal ones that bring it nothing."""
    end = below if to_macs else _refilling(nest, tensor, below)
    for i in range(below):
        if nest[AXIS, i] != TIME:
            together = i >= above and g.shared[nest[AXIS, i], tensor] > 0
            nest[KIND, i] = SHARED if together else SEPARATE
        elif i < end:
            nest[KIND, i] = MOVER if i == end - 1 and not to_macs else TEMPORAL
        else:
            nest[KIND, i] = OUT


@compiled()
def _states(length: int, dim: int, nest: Ints, end: int) -> Any:
    """`hwsim._nest.states` of one dimension's loops among the first `end`, as COUNTS has them.

    Tiles of one length go on alike; a loop leaves those that it cuts with a ragged one each.
    """
    lengths, times = np.empty(end + 1, np.int64), np.empty(end + 1, np.int64)
    lengths[0], times[0], kinds = length, 1, 1
    for i in range(end):
        if nest[DIM, i] != dim or nest[COUNTS, i] == OUT:
            continue
        tile, whole = nest[TILE, i], 0
        for j in range(kinds):
            if lengths[j] >= tile:
                counts = nest[COUNTS, i] > 0
                whole += times[j] * (lengths[j] // tile if counts else 1)
                lengths[j] = lengths[j] % tile if counts else 0
                times[j] *= lengths[j] > 0
        lengths[kinds], times[kinds] = tile, whole
        kinds += 1
    found = 0
    for j in range(kinds):
        found += times[j]
    return found


@compiled()
def _link(
    g: Ground, nest: Ints, link: Ints, above: int, below: int, to_macs: bool, words: Floats
) -> None:
    """Writes a link's words down, as `hwsim.reuse._Nest.link` counts them."""
    tensor, together, apart = link[TENSOR], g.tensors[link[TENSOR]], g.tensors[link[TENSOR]]
    for dim in range(g.bounds.size):
        groups = places = g.bounds[dim]
        if tensor == IFMAP and dim >= P:
            if dim < R:
                groups, places = _window(g, nest, dim, below)
            else:
                groups = places = 1
        elif not NEEDS[tensor, dim]:
            groups, places = _visits(g.bounds[dim], dim, nest, below, to_macs)
        together, apart = together * groups, apart * places
    if to_macs:
        apart = g.tensors[tensor]
        for bound in g.bounds:
            apart *= bound
    words[READS], words[DELIVERED] = together, apart
    if tensor == OFMAP:
        words[READS] = words[DELIVERED] = together - _first_visits(g, nest, above, to_macs)
        words[WRITES], words[COLLECTED] = together, apart


@compiled()
def _visits(bound: int, dim: int, nest: Ints, below: int, to_macs: bool) -> Any:
    """`hwsim.reuse._visits`; for MACs `hwsim.reuse._busy`."""
    groups = places = 1
    for i in range(below):
        kind = nest[KIND, i]
        nest[COUNTS, i] = OUT
        if kind == OUT or nest[DIM, i] != dim:
            continue
        nest[COUNTS, i] = kind != SHARED if to_macs else kind < SHARED
        groups *= nest[TRIPS, i] if kind == SEPARATE else 1
        places *= nest[TRIPS, i] if kind >= SHARED else 1
    times = _states(bound, dim, nest, below)
    return (times, bound) if to_macs else (times * groups, times * places)


@compiled()
def _first_visits(g: Ground, nest: Ints, above: int, busy: bool) -> Any:
    """`hwsim.reuse._Nest._first_visits`."""
    words = 1
    for i in range(above):
        nest[COUNTS, i] = nest[AXIS, i] != TIME
    for dim in range(g.bounds.size):
        if NEEDS[OFMAP, dim]:
            words *= g.bounds[dim]
        elif busy:
            words *= _states(g.bounds[dim], dim, nest, above)
        else:
            for i in range(above):
                words *= nest[TRIPS, i] if nest[COUNTS, i] and nest[DIM, i] == dim else 1
    return words


@compiled()
def _tiles(
    g: Ground, nest: Ints, above: int, below: int, link: int, links: Ints, tiles: Floats
) -> None:
    """Writes down the words of an instance's tile and of all first tiles, and the instances."""
    tensor, tile, copies = links[TENSOR, link], g.bounds.copy(), 1
    links[ABOVE, link] = links[BELOW, link] = 1
    for i in range(below):
        tile[nest[DIM, i]] = min(tile[nest[DIM, i]], nest[TILE, i])
    tiles[EACH, link] = _tile_words(g, tensor, tile)
    for i in range(below):
        if nest[AXIS, i] == TIME:
            continue
        dim, places = nest[DIM, i], nest[TRIPS, i]
        links[BELOW, link] *= places
        links[ABOVE, link] *= places if i < above else 1
        if nest[KIND, i] == SHARED:
            tile[dim] = min(tile[dim] * places, g.bounds[dim])
        else:
            copies *= places
    tiles[FIRST, link] = copies * _tile_words(g, tensor, tile)


@compiled()
def _tile_words(g: Ground, tensor: int, extent: Ints) -> Any:
    """`hwsim.mapping.tile_words`."""
    words = g.tensors[tensor]
    for dim in range(extent.size):
        if NEEDS[tensor, dim] and not (tensor == IFMAP and dim >= P):
            words *= extent[dim]
    if tensor == IFMAP:
        for side in range(2):
            tile, window = extent[P + side], extent[R + side]
            step, dilation = g.windows[side, STEP], g.windows[side, DILATION]
            common = np.gcd(step, dilation)
            again = max(tile - dilation // common, 0) * max(window - step // common, 0)
            words *= min(tile * window - again, g.windows[side, MOST])
    return words


@compiled()
def _window(g: Ground, nest: Ints, dim: int, below: int) -> Any:
    """`hwsim.reuse._Nest._window`: rows or columns together and apart, which are counted once.

    A key is its length, and (tile, kind) of each loop of both dimensions, these after their own.
    """
    key, length = np.empty(2 * below + 3, np.int64), 1
    for own in (dim, dim + R - P):
        key[length] = OUT - own
        length += 1
        for i in range(below):
            if nest[DIM, i] == own and nest[KIND, i] != OUT:
                key[length], key[length + 1] = nest[TILE, i], nest[KIND, i]
                length += 2
    key[0], slot, known = length, 0, length <= KEY
    for i in range(length):
        slot = (31 * slot + key[i]) % SLOTS
    for i in range(length):
        known = known and g.keys[slot, i] == key[i]
    if not known:
        _count_window(g, dim, key, slot)
        g.keys[slot, 0] = 0
        for i in range(length if length <= KEY else 0):
            g.keys[slot, i] = key[i]
    return g.known[slot, 0], g.known[slot, 1]


@compiled()
def _count_window(g: Ground, dim: int, key: Ints, slot: int) -> None:
    """Counts the window of a key."""
    slides, middle, end = False, 2, key[0]
    while key[middle] >= 0:
        slides = slides or key[middle + 1] == MOVER
        middle += 2
    for kind in range(middle + 2, end, 2):
        slides = slides or key[kind] == MOVER
    major = tile_table(g.bounds[dim], key[2:middle].reshape(-1, 2))
    minor = tile_table(g.bounds[dim + R - P], key[middle + 1 : end].reshape(-1, 2))
    step, dilation = g.windows[dim - P, STEP], g.windows[dim - P, DILATION]
    begin, end = g.windows[dim - P, BEGIN], g.windows[dim - P, END]
    together, apart = words_of_tables(major, minor, slides, step, dilation, begin, end)
    g.known[slot, 0], g.known[slot, 1] = together, apart
