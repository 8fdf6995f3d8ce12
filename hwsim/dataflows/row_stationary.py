"""Row stationary, as on the Eyeriss chip (ISCA 2016; JSSC 2017, Table III).

A PE keeps rows of filter weights and slides along an ifmap row. A PE set is R rows by e columns;
sets wider than the array fold onto further rows of PEs. Sets are replicated r times over input
channels and t times over filters (and, beyond the chip's table, g times over groups).

    m  filters whose psums the GLB keeps         n  images of one pass
    e  ofmap rows of one strip                   p  filters of one PE
    q  channels of one PE                     w  columns of one strip (all of them by default)
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from hwsim.dataflows._parts import (
    Ints,
    even_tile,
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
from hwsim.mapping import Loop, Mapping, Node, Room, kept_bits, rooms, tile_words
from hwsim.search.dominance import unbeaten
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
    choices, frame = _undominated(layer, _choices(layer, machine)), _frame(layer, machine)
    return fitting(layer, machine, (_nest(layer, frame, choice) for choice in choices))


def mapping(layer: Layer, machine: Accelerator, choice: Pass) -> Mapping:
    """The loop nest of one choice of parameters."""
    return _nest(layer, _frame(layer, machine), choice)


class _Frame(NamedTuple):
    """What all nests of a layer on a machine have in common: the array, and where tiles are kept,
    those of a tensor above the array, and in the pads."""

    array: tuple[tuple[str | None, int], tuple[str | None, int]]
    start: list[Node]
    ofmaps: list[Node]
    ifmaps: list[Node]
    weights: list[Node]
    weight_pads: list[Node]
    other_pads: list[Node]


def _frame(layer: Layer, machine: Accelerator) -> _Frame:
    outer, inner = outer_levels(machine), inner_levels(machine)
    return _Frame(
        array=grid(machine),
        start=start(layer, machine),
        ofmaps=keep(outer, layer, "ofmap"),
        ifmaps=keep(outer, layer, "ifmap"),
        weights=keep(outer, layer, "weight"),
        weight_pads=keep(inner, layer, "weight"),
        other_pads=keep(inner, layer, "ifmap", "ofmap"),
    )


def _nest(layer: Layer, frame: _Frame, choice: Pass) -> Mapping:
    (x, columns), (y, rows) = frame.array
    p, q, across = choice.p, choice.q, choice.across
    nodes: list[Node] = [
        *frame.start,
        Loop("G", choice.g),
        Loop("K", choice.m),
        Loop("N", choice.n),
        Loop("P", choice.e),
        Loop("Q", choice.w or layer.Q),
        *frame.ofmaps,
        Loop("C", q * choice.r),
        *frame.ifmaps,
        Loop("K", p * choice.t),
        *frame.weights,
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
        *frame.weight_pads,
        Loop("N", 1),
        Loop("Q", 1),
        *frame.other_pads,
        Loop("S", 1),
        Loop("C", 1),
        Loop("K", 1),
    ]
    return nest(layer, nodes)


def _choices(layer: Layer, machine: Accelerator) -> Ints:
    """A row a choice: m, n, e, p, q, and sets across and down."""
    (_, columns), (_, rows) = grid(machine)
    folds = rows // min(layer.R, rows)
    pads = rooms(layer, machine, levels=inner_levels(machine))
    pe_tiles = _pe_tiles(layer.C, layer.K, layer.S, pads)
    images = _column(halves(layer.N))
    parts = [
        _crossed(
            _column([e]),
            images,
            _sets(columns // min(e, columns), layer.C, layer.K, layer.G),
            _sets(folds // -(-e // columns), layer.C, layer.K, layer.G),
            pe_tiles,
        )
        for e in tile_sizes(layer.P, columns * folds)
    ]
    e, n, ar, at, ag, dr, dt, dg, most, q = np.concatenate(parts).T
    channels, groups = np.minimum(layer.C, q * ar * dr), np.minimum(layer.G, ag * dg)
    m = _filters_in_buffer(layer, outer_levels(machine), n, e, channels, groups)
    p = even_tile(-(-layer.K // (at * dt)), most)
    found = np.stack((m, n, e, p, q, ar, at, ag, dr, dt, dg), axis=1)[m > 0]
    found[:, 0] = even_tile(np.full(len(found), layer.K), found[:, 0])
    return found


def _column(values: list[int]) -> Ints:
    return np.array(values, np.int64).reshape(-1, 1)


def _crossed(*tables: Ints) -> Ints:
    """Every combination of rows side by side, those of the last table changing fastest."""
    places = np.indices([len(table) for table in tables]).reshape(len(tables), -1)
    return np.hstack([table[own] for table, own in zip(tables, places, strict=True)])


@lru_cache(maxsize=2**12)
def _sets(places: int, channels: int, filters: int, layer_groups: int) -> Ints:
    """Ways to fill places with sets, a row (r, t, g) each: more channels leave fewer filters, then
    groups, or just one where the buffer has no room for more."""
    found = []
    for r in tile_sizes(channels, places):
        t = min(places // r, filters)
        g = min(places // (r * t), layer_groups)
        found += [(r, t, groups) for groups in dict.fromkeys((g, 1))]
    return np.array(found, np.int64).reshape(-1, 3)


@lru_cache(maxsize=2**10)
def _pe_tiles(channels: int, filters: int, columns: int, pads: tuple[Room, ...]) -> Ints:
    """Rows (p, q) that fit the pads: for each q the most filters, of so many `columns`."""

    def fit(p: int, q: int) -> bool:
        words = {"ifmap": q * columns, "weight": p * q * columns, "ofmap": p}
        return all(
            sum(words[tensor] * bits for tensor, bits in room.element_bits) <= room.usable_bits
            for room in pads
        )

    most = largest(channels, partial(fit, 1))
    found = [(largest(filters, partial(fit, q=q)), q) for q in tile_sizes(channels, most)]
    return np.array(found, np.int64).reshape(-1, 2)


def _filters_in_buffer(
    layer: Layer, levels: tuple[MemoryLevel, ...], n: Ints, e: Ints, channels: Ints, groups: Ints
) -> Ints:
    """The most filters m whose psums fit above the array beside one pass's ifmap; 0 if none do."""
    one = layer.bounds | {"G": 1, "N": 1, "C": 1, "K": 1}
    strips = np.zeros((2, e.max(initial=0) + 1))
    for rows in np.unique(e).tolist():
        strips[:, rows] = [tile_words(layer, t, one | {"P": rows}) for t in ("ifmap", "ofmap")]
    ifmap, ofmap = strips[0, e] * n * groups * channels, strips[1, e] * n * groups
    most = np.full(e.shape, float(layer.K))
    for memory in (memory for level in levels for memory in level.memories):
        left = memory.usable_bits - np.zeros(e.shape)
        if "ifmap" in memory.tensors:
            left -= ifmap * kept_bits(layer, memory, "ifmap")
        if "ofmap" in memory.tensors:
            most = np.fmin(most, left // (ofmap * kept_bits(layer, memory, "ofmap")))
        else:
            most = np.where(left < 0, 0.0, most)
    found: Ints = np.maximum(most, 0).astype(np.int64)
    return found


def _undominated(layer: Layer, choices: Ints) -> list[Pass]:
    """Choices that no other matches or beats in steps and in every loop's trips at once."""
    trips = _trips(layer, choices)
    order = np.lexsort(trips.T[::-1])
    kept = order[unbeaten(trips[order])]
    return [
        Pass(m, n, e, p, q, Sets(*sets[:3]), Sets(*sets[3:]))
        for m, n, e, p, q, *sets in choices[kept].tolist()
    ]


def _trips(layer: Layer, choices: Ints) -> Ints:
    """By choice, time steps of a layer and the trips of the loops that decide traffic."""
    m, n, e, p, q, *sets = choices.T
    r, t, g = (across * down for across, down in zip(sets[:3], sets[3:], strict=True))
    channels, filters = -(-layer.C // (q * r)), -(-layer.K // (p * t))
    strips, groups = -(-layer.P // e), -(-layer.G // g)
    steps = groups * strips * channels * q * filters * p
    images, maps = -(-layer.N // n), -(-layer.K // m)
    return np.stack((steps, maps, strips, images, channels, filters), axis=1)
