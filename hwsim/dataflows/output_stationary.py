"""Output stationary: a psum stays in its PE until it is finished, channels and window innermost.

The kinds of Chen, Emer and Sze, "Eyeriss: A Spatial Architecture for Energy-Efficient Dataflow for
Convolutional Neural Networks" (ISCA 2016, Sec. IV, taxonomy of dataflows) differ in what they
spread over the array:

    OS_A  many points of one ofmap channel          OS_C  many ofmap channels (and images), one
    OS_B  several points of several ofmap channels        point each

Groups fill the places that a group's own channels leave. Finished psums go past every buffer that
they may bypass.
"""

from collections.abc import Iterator

from hwsim.dataflows._parts import inner_levels, keep, nest, outer_levels, start
from hwsim.dataflows._spread import (
    Extent,
    Spread,
    cut,
    fitting_or,
    pad_tiles,
    serial,
    spreads,
    widest,
)
from hwsim.hardware import Accelerator, MemoryLevel
from hwsim.mapping import Loop, Mapping, Node
from hwsim.workload import Layer

OS_A = (("QP", "PQ"), ("PQ", "QP"))
OS_B = (("KG", "QPN"), ("QPN", "KG"), ("KG", "PQN"), ("PQN", "KG"))
OS_C = (("KG", "KGN"), ("KG", "NKG"), ("NKG", "KG"))
BUFFERED = (("ifmap", "weight"), ("ifmap",))


def mappings(layer: Layer, machine: Accelerator) -> Iterator[Mapping]:
    """For each kind and pad tile: buffers that keep ifmaps longest, weights longest, or slices."""
    found: dict[Mapping, None] = {}
    for spread in spreads(layer, machine, OS_A + OS_B + OS_C):
        for pad in _pad_tiles(layer, machine, spread):
            for above in _above_array(layer, machine, spread.tile(pad)):
                found[_mapping(layer, machine, spread, pad, above)] = None
    return fitting_or(layer, machine, found, serial(layer, machine, "GNKPQCRS"))


def _mapping(
    layer: Layer, machine: Accelerator, spread: Spread, pad: Extent, above: list[Node]
) -> Mapping:
    inner, array = inner_levels(machine), spread.tile(pad)
    return nest(
        layer,
        [
            *start(layer, machine),
            Loop("G", array["G"]),
            *above,
            *keep(_passed(machine), layer, "ofmap"),
            *spread.loops(machine, pad),
            *keep(inner, layer, "ofmap"),
            Loop("C", 1),
            Loop("R", 1),
            Loop("S", 1),
            *keep(inner, layer, "ifmap", "weight"),
            Loop("K", 1),
            Loop("Q", 1),
        ],
    )


def _above_array(layer: Layer, machine: Accelerator, array: Extent) -> Iterator[list[Node]]:
    """Loops and stores above the array's tile, for each tensor that the buffers favour."""
    outer = outer_levels(machine)
    ifmap, weight = keep(outer, layer, "ifmap"), keep(outer, layer, "weight")
    n, k, p, q = (Loop(dim, array[dim]) for dim in "NKPQ")
    for operands in BUFFERED:
        tensors = (*operands, "ofmap") if _passed(machine) else operands
        for points in _points(layer, machine, array, tensors):
            yield [n, *points, *ifmap, k, *weight, p, q]
        filters = widest(layer, machine, _whole(layer, array), "K", tensors)
        if filters:
            yield [Loop("K", filters), *weight, n, p, q, *ifmap, k]
        channels = widest(layer, machine, _whole(layer, array) | {"C": 1}, "C", tensors)
        if channels:
            yield [n, p, q, k, Loop("C", channels), *ifmap, *weight]


def _points(
    layer: Layer, machine: Accelerator, array: Extent, tensors: tuple[str, ...]
) -> Iterator[list[Node]]:
    """The most ofmap rows whose ifmap the buffers hold, or else columns of the fewest rows."""
    extent = _whole(layer, array)
    rows = widest(layer, machine, extent | {"Q": layer.Q}, "P", tensors)
    columns = 0 if rows else widest(layer, machine, extent, "Q", tensors)
    if rows or columns:
        yield [Loop("P", rows or array["P"]), Loop("Q", columns or layer.Q)]


def _whole(layer: Layer, array: Extent) -> Extent:
    """The array's tile with all the operands that finish its psums."""
    return cut(layer, array | {dim: layer.bounds[dim] for dim in "CRS"})


def _pad_tiles(layer: Layer, machine: Accelerator, spread: Spread) -> list[Extent]:
    """One psum a PE, or as many filters' or columns' as the pads hold, if they hold any."""
    padded = any(level.memory("ofmap") for level in inner_levels(machine))
    return pad_tiles(layer, machine, spread, "KQ", {}) if padded else [{}]


def _passed(machine: Accelerator) -> list[MemoryLevel]:
    """Buffers that finished psums go through; all of them where no pad keeps psums."""
    padded = any(level.memory("ofmap") for level in inner_levels(machine))
    return [level for level in outer_levels(machine) if not padded or _required(level)]


def _required(level: MemoryLevel) -> bool:
    memory = level.memory("ofmap")
    return memory is not None and not memory.bypass
