"""No local reuse: PEs keep nothing, so that all of the area goes to the buffer above them.

Filters and channels are spread over the array (Chen, Emer and Sze, ISCA 2016, Sec. IV: NLR, as in
DianNao and in Zhang et al., FPGA 2015): an ifmap word is sent to many filters, psums of many
channels are added on their way out, and every operation reads its operands from the buffer. Groups
fill the places that filters leave, the window those that channels leave. Pads that no tensor may
bypass hold a single word of it.
"""

from collections.abc import Iterator

from hwsim.dataflows._parts import inner_levels, keep, nest, outer_levels, start
from hwsim.dataflows._spread import Extent, Spread, cut, fitting_or, serial, spreads, widened
from hwsim.hardware import Accelerator
from hwsim.mapping import Loop, Mapping, Node, Store
from hwsim.workload import Layer

SPREADS = (("KG", "CRS"), ("CRS", "KG"), ("KG", "CSR"), ("CSR", "KG"))


def mappings(layer: Layer, machine: Accelerator) -> Iterator[Mapping]:
    """For each spread, the most rows, columns, filters or channels that the buffers hold."""
    candidates = _candidates(layer, machine)
    last_resort = _bare(serial(layer, machine, "GNKPQCRS"), machine)
    return fitting_or(layer, machine, candidates, last_resort)


def _candidates(layer: Layer, machine: Accelerator) -> dict[Mapping, None]:
    found: dict[Mapping, None] = {}
    for spread in spreads(layer, machine, SPREADS):
        for buffer in _buffer_tiles(layer, machine, spread.tile({})):
            found[_bare(_mapping(layer, machine, spread, buffer), machine)] = None
    return found


def _mapping(layer: Layer, machine: Accelerator, spread: Spread, buffer: Extent) -> Mapping:
    outer, inner, array = outer_levels(machine), inner_levels(machine), spread.tile({})
    return nest(
        layer,
        [
            *start(layer, machine),
            *(Loop(dim, buffer[dim]) for dim in "GNKPQ"),
            *keep(outer, layer, "ofmap"),
            Loop("C", buffer["C"]),
            *keep(outer, layer, "ifmap"),
            *keep(outer, layer, "weight"),
            *(Loop(dim, array[dim]) for dim in "NKPQCRS"),
            *spread.loops(machine, {}),
            *keep(inner, layer, *layer.tensors),
        ],
    )


def _bare(mapping: Mapping, machine: Accelerator) -> Mapping:
    """The mapping with nothing kept in pads but what may not bypass them."""
    pads = {level.level: level for level in inner_levels(machine)}
    nodes: list[Node] = []
    for node in mapping:
        if isinstance(node, Store) and node.level in pads:
            memories = {tensor: pads[node.level].memory(tensor) for tensor in node.tensors}
            forced = tuple(t for t, memory in memories.items() if memory and not memory.bypass)
            nodes += [Store(node.level, forced)] if forced else []
        else:
            nodes.append(node)
    return Mapping(tuple(nodes))


def _buffer_tiles(layer: Layer, machine: Accelerator, array: Extent) -> Iterator[Extent]:
    """Tiles that the buffers hold: all filters, channels or both with the most points, all points
    with the most images or filters, or the most filters, columns or channels of little else."""
    window = cut(layer, array | {"R": layer.R, "S": layer.S})
    rows, channels, filters = {"Q": layer.Q}, {"C": layer.C}, {"K": layer.K}
    options = (
        (window | rows | channels | filters, "P"),
        (window | rows | filters, "P"),
        (window | rows | channels, "P"),
        (window | rows | filters | {"P": layer.P}, "N"),
        (window | rows | {"P": layer.P}, "K"),
        (window | channels, "K"),
        (window | channels | filters, "Q"),
        (window | filters, "C"),
        (window, "K"),
    )
    return widened(layer, machine, options)
