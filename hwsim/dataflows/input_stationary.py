"""Input stationary: an ifmap tile stays in its PE while every filter that uses it passes.

The counterpart of weight stationary in the taxonomy of Chen, Emer and Sze (ISCA 2016, Sec. IV),
and the dataflow of SCNN (Parashar et al., ISCA 2017, Sec. III): channels and ofmap rows and columns
over the array, filters and their windows in time. Where a pad is too small for a window, its rows,
or its rows and columns, are stepped through around the pad.
"""

from collections.abc import Iterator
from itertools import product

from hwsim.dataflows._parts import inner_levels, keep, nest, outer_levels, start
from hwsim.dataflows._spread import (
    Extent,
    Spread,
    cut,
    fitting_or,
    pad_tiles,
    serial,
    spreads,
    widened,
)
from hwsim.hardware import Accelerator
from hwsim.mapping import Loop, Mapping
from hwsim.workload import Layer

SPREADS = (
    ("QPN", "CG"),
    ("CG", "QPN"),
    ("PQN", "CG"),
    ("CG", "PQN"),
    ("QPN", "PQN"),
    ("CG", "CG"),
)


def mappings(layer: Layer, machine: Accelerator) -> Iterator[Mapping]:
    """For each spread and pad tile, the most filters or ofmap points that the buffers hold."""
    found: dict[Mapping, None] = {}
    for spread, around in product(spreads(layer, machine, SPREADS), ("", "R", "RS")):
        window = {dim: layer.bounds[dim] for dim in "RS" if dim not in around}
        for pad in pad_tiles(layer, machine, spread, "CQ", window):
            for buffer in _buffer_tiles(layer, machine, spread.tile(pad)):
                found[_mapping(layer, machine, spread, pad, around, buffer)] = None
    return fitting_or(layer, machine, found, serial(layer, machine, "GNPQCRSK"))


def _mapping(
    layer: Layer, machine: Accelerator, spread: Spread, pad: Extent, around: str, buffer: Extent
) -> Mapping:
    outer, inner, array = outer_levels(machine), inner_levels(machine), spread.tile(pad)
    return nest(
        layer,
        [
            *start(layer, machine),
            *(Loop(dim, buffer[dim]) for dim in "GNKPQ"),
            *keep(outer, layer, "ofmap"),
            Loop("C", array["C"]),
            *keep(outer, layer, "ifmap"),
            *keep(outer, layer, "weight"),
            *(Loop(dim, array[dim]) for dim in "NPQ"),
            *spread.loops(machine, pad),
            *(Loop(dim, 1) for dim in around),
            *keep(inner, layer, "ifmap"),
            Loop("K", 1),
            *keep(inner, layer, "ofmap"),
            Loop("C", 1),
            Loop("R", 1),
            Loop("S", 1),
            *keep(inner, layer, "weight"),
            Loop("Q", 1),
        ],
    )


def _buffer_tiles(layer: Layer, machine: Accelerator, array: Extent) -> Iterator[Extent]:
    """Tiles that the buffers hold: every filter and the most rows or images, or every row and the
    most filters, or the most filters of the array's own points."""
    least = cut(layer, array | {"K": 1, "R": layer.R, "S": layer.S})
    whole_rows = least | {"Q": layer.Q}
    options = (
        (whole_rows | {"K": layer.K}, "P"),
        (whole_rows | {"K": layer.K, "P": layer.P}, "N"),
        (least | {"K": layer.K}, "Q"),
        (whole_rows | {"P": layer.P}, "K"),
        (least, "K"),
    )
    return widened(layer, machine, options)
