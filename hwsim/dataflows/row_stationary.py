"""Row stationary, as on the Eyeriss chip (ISCA 2016; JSSC 2017, Table III).

A PE keeps rows of filter weights and slides along an ifmap row. A PE set is R rows by e columns;
sets wider than the array fold onto further rows of PEs. Sets are replicated r times over input
channels and t times over filters (and, beyond the chip's table, g times over groups).

    m  filters whose psums the GLB keeps         n  images of one pass
    e  ofmap rows of one strip                   p  filters of one PE
    q  channels of one PE                     w  columns of one strip (all of them by default)
"""

from collections.abc import Iterator
from functools import cache, partial
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.dataflows._parts import (
    even_tile,
    fits,
    fitting,
    grid,
    halves,
    inner_levels,
    keep,
    largest,
    nest,
    outer_levels,
    start,
    tile_sizes,
)
from hwsim.hardware import Accelerator, MemoryLevel
from hwsim.mapping import Loop, Mapping, Node, kept_bits, tile_words
from hwsim.workload import Layer


class Sets(NamedTuple):
    """How many PE sets work along one axis: over channels, filters, groups."""

    r: int
    t: int
    g: int


class Pass(NamedTuple):
    """One choice of the dataflow's parameters."""

    m: int
    n: int
    e: int
    p: int
    q: int
    across: Sets
    down: Sets
    w: int | None = None

    @property
    def r(self) -> int:
        return self.across.r * self.down.r

    @property
    def t(self) -> int:
        return self.across.t * self.down.t

    @property
    def g(self) -> int:
        return self.across.g * self.down.g


def mappings(layer: Layer, machine: Accelerator) -> Iterator[Mapping]:
    """The mappings of every choice of parameters that no other beats in all its loops."""
    choices = _undominated(layer, list(_choices(layer, machine)))
    return fitting(layer, machine, (mapping(layer, machine, choice) for choice in choices))


def mapping(layer: Layer, machine: Accelerator, choice: Pass) -> Mapping:
    """The loop nest of one choice of parameters."""
    (x, columns), (y, rows) = grid(machine)
    outer, inner = outer_levels(machine), inner_levels(machine)
    p, q, across = choice.p, choice.q, choice.across
    nodes: list[Node] = [
        *start(layer, machine),
        Loop("G", choice.g),
        Loop("K", choice.m),
        Loop("N", choice.n),
        Loop("P", choice.e),
        Loop("Q", choice.w or layer.Q),
        *keep(outer, layer, "ofmap"),
        Loop("C", q * choice.r),
        *keep(outer, layer, "ifmap"),
        Loop("K", p * choice.t),
        *keep(outer, layer, "weight"),
        Loop("R", rows),
        Loop("G", across.g, y),
        Loop("G", 1, x),
        Loop("K", p * across.t, y),
        Loop("K", p, x),
        Loop("C", q * across.r, y),
        Loop("C", q, x),
        Loop("R", 1, y),
        Loop("P", columns, y),
        Loop("P", 1, x),
        *keep(inner, layer, "weight"),
        Loop("N", 1),
        Loop("Q", 1),
        *keep(inner, layer, "ifmap", "ofmap"),
        Loop("S", 1),
        Loop("C", 1),
        Loop("K", 1),
    ]
    return nest(layer, nodes)


def _choices(layer: Layer, machine: Accelerator) -> Iterator[Pass]:
    (_, columns), (_, rows) = grid(machine)
    folds = rows // min(layer.R, rows)
    pe_tiles = _pe_tiles(layer, machine)
    filters = cache(partial(_filters_in_buffer, layer, outer_levels(machine)))
    for e in tile_sizes(layer.P, columns * folds):
        across_sets = _sets(columns // min(e, columns), layer)
        down_sets = _sets(folds // -(-e // columns), layer)
        for n, across, down in product(halves(layer.N), across_sets, down_sets):
            filters_of_a_set = -(-layer.K // (across.t * down.t))
            channels, groups = across.r * down.r, min(layer.G, across.g * down.g)
            for most, q in pe_tiles:
                m = filters(n, e, min(layer.C, q * channels), groups)
                if m:
                    p = even_tile(filters_of_a_set, most)
                    yield Pass(even_tile(layer.K, m), n, e, p, q, across, down)


def _sets(places: int, layer: Layer) -> list[Sets]:
    """Ways to fill places with sets: more channels leave fewer filters, then groups, or just one
    where the buffer has no room for more."""
    found = []
    for r in tile_sizes(layer.C, places):
        t = min(places // r, layer.K)
        g = min(places // (r * t), layer.G)
        found += [Sets(r, t, groups) for groups in dict.fromkeys((g, 1))]
    return found


def _pe_tiles(layer: Layer, machine: Accelerator) -> list[tuple[int, int]]:
    """(p, q) whose rows fit the pads: for each q the most filters."""
    pads = inner_levels(machine)

    def fit(p: int, q: int) -> bool:
        words = {"ifmap": q * layer.S, "weight": p * q * layer.S, "ofmap": p}
        return fits(pads, layer, words)

    channels = largest(layer.C, partial(fit, 1))
    return [(largest(layer.K, partial(fit, q=q)), q) for q in tile_sizes(layer.C, channels)]


def _filters_in_buffer(
    layer: Layer, levels: tuple[MemoryLevel, ...], n: int, e: int, channels: int, groups: int
) -> int:
    """The most filters m whose psums fit above the array beside one pass's ifmap; 0 if none do."""
    extent = layer.bounds | {"G": groups, "N": n, "P": e, "C": channels, "K": 1}
    ifmap, ofmap = (tile_words(layer, tensor, extent) for tensor in ("ifmap", "ofmap"))
    most = float(layer.K)
    for memory in (memory for level in levels for memory in level.memories):
        left = memory.usable_bits
        if "ifmap" in memory.tensors:
            left -= ifmap * kept_bits(layer, memory, "ifmap")
        if "ofmap" in memory.tensors:
            most = min(most, left // (ofmap * kept_bits(layer, memory, "ofmap")))
        elif left < 0:
            return 0
    return max(0, int(most))


def _undominated(layer: Layer, choices: list[Pass]) -> list[Pass]:
    """Choices that no other matches or beats in steps and in every loop's trips at once."""
    if not choices:
        return []
    trips = _trips(layer, choices)
    order = np.lexsort(trips.T[::-1])
    left, kept = trips[order], []
    while order.size:
        kept.append(choices[order[0]])
        unbeaten = (left < left[0]).any(axis=1)
        order, left = order[unbeaten], left[unbeaten]
    return kept


def _trips(layer: Layer, choices: list[Pass]) -> NDArray[np.int64]:
    """By choice, time steps of a layer and the trips of the loops that decide traffic."""
    m, n, e, p, q, *sets = np.array([(*each[:5], *each.across, *each.down) for each in choices]).T
    r, t, g = (across * down for across, down in zip(sets[:3], sets[3:], strict=True))
    channels, filters = -(-layer.C // (q * r)), -(-layer.K // (p * t))
    strips, groups = -(-layer.P // e), -(-layer.G // g)
    steps = groups * strips * channels * q * filters * p
    images, maps = -(-layer.N // n), -(-layer.K // m)
    return np.stack((steps, maps, strips, images, channels, filters), axis=1)
