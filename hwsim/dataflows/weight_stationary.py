"""Weight stationary, as on a systolic array: filters across, channels and filter rows down.

Each PE keeps one weight (or a pad of them) while every ofmap point of the buffered tile streams
past; psums are added down a column and leave for the buffer above the array.
"""

from collections.abc import Iterator
from itertools import product

from hwsim.dataflows._parts import (
    fits,
    grid,
    halves,
    inner_levels,
    keep,
    nest,
    outer_levels,
    start,
    tile_sizes,
)
from hwsim.dataflows._spread import fitting_or, serial
from hwsim.hardware import Accelerator
from hwsim.mapping import Loop, Mapping, tile_words
from hwsim.workload import Layer


def mappings(layer: Layer, machine: Accelerator) -> Iterator[Mapping]:
    """Every way to fill the rows of PEs, with the largest tiles the buffers hold."""
    candidates = (
        _mapping(layer, machine, c, r, s, k, n, p)
        for c, r, s in _row_tiles(layer, machine)
        for k, n, p in _buffer_tiles(layer, machine, c, r, s)
    )
    return fitting_or(layer, machine, candidates, serial(layer, machine, "GKCRSNPQ"))


def _mapping(
    layer: Layer, machine: Accelerator, c: int, r: int, s: int, k: int, n: int, p: int
) -> Mapping:
    (x, columns), (y, _) = grid(machine)
    outer, inner = outer_levels(machine), inner_levels(machine)
    return nest(
        layer,
        [
            *start(layer, machine),
            Loop("G", 1),
            Loop("N", n),
            Loop("P", p),
            Loop("K", k),
            *keep(outer, layer, "ofmap"),
            Loop("C", c),
            *keep(outer, layer, "ifmap"),
            Loop("K", columns),
            Loop("R", r),
            Loop("S", s),
            *keep(outer, layer, "weight"),
            Loop("K", 1, x),
            Loop("C", 1, y),
            Loop("R", 1, y),
            Loop("S", 1, y),
            *keep(inner, layer, "weight"),
            Loop("N", 1),
            Loop("P", 1),
            Loop("Q", 1),
            *keep(inner, layer, "ifmap", "ofmap"),
        ],
    )


def _row_tiles(layer: Layer, machine: Accelerator) -> Iterator[tuple[int, int, int]]:
    """(c, r, s) that share the rows of PEs: whole filter rows where few channels leave room."""
    _, (_, rows) = grid(machine)
    for r, s in {(1, 1), (1, layer.S), (layer.R, 1), (layer.R, layer.S)}:
        if r * s <= rows:
            yield tile_sizes(layer.C, rows // (r * s))[0], r, s


def _buffer_tiles(
    layer: Layer, machine: Accelerator, c: int, r: int, s: int
) -> Iterator[tuple[int, int, int]]:
    """(k, n, p) for which the buffers hold the tiles: for each k and n the largest p."""
    for k, n in product(tile_sizes(layer.K), halves(layer.N)):
        for p in tile_sizes(layer.P):
            extent = layer.bounds | {"G": 1, "N": n, "K": k, "P": p, "C": c}
            words = {t: tile_words(layer, t, extent) for t in ("ifmap", "ofmap")}
            if fits(outer_levels(machine), layer, words):
                yield k, n, p
                break
