"""Layers without weights: tiles stream through, spread over the PEs by channel, row and column."""

from collections.abc import Iterator
from itertools import permutations, product

from hwsim.dataflows._parts import (
    fits,
    grid,
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
    """For each pair of dimensions on the two axes, pads of a whole window, a row, or a word."""
    candidates = (
        _mapping(layer, machine, tile, spread, above)
        for tile in _buffered(layer, machine)
        for spread, above in product(permutations("GPQ", 2), ("", "R", "RS"))
    )
    return fitting_or(layer, machine, candidates, serial(layer, machine, "NGKPQCRS"))


def _mapping(
    layer: Layer,
    machine: Accelerator,
    tile: tuple[int, int, int],
    spread: tuple[str, ...],
    above: str,
) -> Mapping:
    """The nest in which the window's dimensions `above` are stepped through outside the pad."""
    (x, columns), (y, rows) = grid(machine)
    across, down = spread
    outer, inner = outer_levels(machine), inner_levels(machine)
    groups, strip, width = tile
    extent = layer.bounds | {"G": groups, "P": strip, "Q": width}
    return nest(
        layer,
        [
            *start(layer, machine),
            Loop("N", 1),
            Loop("G", groups),
            Loop("P", strip),
            Loop("Q", width),
            *keep(outer, layer, "ifmap", "ofmap"),
            Loop(across, -(-extent[across] // columns), x),
            Loop(down, -(-extent[down] // rows), y),
            Loop("G", 1),
            Loop("P", 1),
            Loop("Q", 1),
            *keep(inner, layer, "ofmap"),
            Loop("K", 1),
            Loop("C", 1),
            *(Loop(dim, 1) for dim in above),
            *keep(inner, layer, "ifmap"),
            *(Loop(dim, 1) for dim in "RS"),
        ],
    )


def _buffered(layer: Layer, machine: Accelerator) -> list[tuple[int, int, int]]:
    """The largest (channels, rows, columns) that the buffers hold, whole rows first, if any."""
    for width in tile_sizes(layer.Q):
        for strip in tile_sizes(layer.P):
            for groups in tile_sizes(layer.G):
                extent = layer.bounds | {"N": 1, "G": groups, "P": strip, "Q": width}
                words = {t: tile_words(layer, t, extent) for t in layer.tensors}
                if fits(outer_levels(machine), layer, words):
                    return [(groups, strip, width)]
    return []
