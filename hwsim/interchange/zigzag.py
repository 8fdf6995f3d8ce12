"""ZigZag's form of a mapping: loop factors per operand and memory, and spatial factors per axis.

What the form cannot say, and `export` refuses:

- a tile that does not divide what it steps through in time (a spatial factor may be an average:
  27 columns over 14 places in two steps are 13.5 places each);
- a tensor that bypasses one of its memories: every operand passes through all of them;
- more than one array of PEs.

ZigZag's own mapping file (`file_records`) holds less: the order of the temporal loops, but not
which of them each memory covers. ZigZag's allocator decides that anew, memory by memory, filling
each as far as it goes. Its results do hold the allocation, and `read` makes a mapping of them. An
allocation is refused where an operand's tile in a PE outlives another's tile above the array: a
`Mapping` is one nest, in which every store above the array comes before all below it. Neither form
says whether a PE's tiles along a dimension are neighbours; overlapping windows tell the difference.
"""

from collections.abc import Iterator
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, replace
from itertools import chain
from math import ceil, prod
from typing import Any

from hwsim.errors import MappingError
from hwsim.hardware import Accelerator
from hwsim.mapping import Loop, Mapping, Node, Store
from hwsim.workload import DIMS, RELEVANT, Layer

NAMES = {"N": "B", "G": "G", "K": "K", "C": "C", "P": "OY", "Q": "OX", "R": "FY", "S": "FX"}
OPERANDS = {"ofmap": "O", "weight": "W", "ifmap": "I"}
MEMORY_OPERANDS = {"O": "O", "W": "I2", "I": "I1"}

Factor = tuple[str, float]
Factors = tuple[Factor, ...]


@dataclass(frozen=True)
class ZigZagMapping:
    """Loop factors (dimension, factor), innermost first; dimensions bear this project's names.

    `spatial`: by axis. `temporal`: by tensor, a tuple per memory that the tensor has, innermost
    memory first. A spatial factor may be an average, a temporal one is whole.
    """

    spatial: MappingType[str, Factors]
    temporal: MappingType[str, tuple[Factors, ...]]

    @property
    def order(self) -> Factors:
        """All temporal loops, innermost first; the same for every tensor."""
        return tuple(chain.from_iterable(next(iter(self.temporal.values()))))


def levels(machine: Accelerator, tensor: str) -> tuple[str, ...]:
    """The names of a tensor's memory levels, innermost first."""
    return tuple(level.level for level in reversed(machine.levels) if level.memory(tensor))


def export(mapping: Mapping, layer: Layer, machine: Accelerator) -> ZigZagMapping:
    """A valid mapping in ZigZag's form. Raises MappingError on what that form cannot say."""
    larger, nest = rounded_up(mapping, layer, machine)
    for dim, bound in layer.bounds.items():
        if larger.bounds[dim] != bound:
            raise MappingError(
                f"layer {layer.name!r}: {dim} = {bound} in {larger.bounds[dim]} steps: "
                "ZigZag's form has no ragged tiles in time"
            )
    return nest


def rounded_up(mapping: Mapping, layer: Layer, machine: Accelerator) -> tuple[Layer, ZigZagMapping]:
    """A valid mapping in ZigZag's form, and the least layer of which its temporal tiles are parts.

    That layer is the given one where no tile is ragged in time. Raises MappingError on all else
    that the form cannot say.
    """
    if len(machine.arrays) != 1:
        raise MappingError(f"{machine.name}: ZigZag's form needs one array of PEs")
    trips = mapping.trips(layer)
    in_time = {
        index: (loop.dim, trips[index])
        for index, loop in enumerate(mapping.loops)
        if not loop.axis and trips[index] > 1
    }
    nest = ZigZagMapping(
        _spatial(mapping, layer, machine, tuple(in_time.values())),
        {tensor: _allocated(mapping, machine, tensor, in_time) for tensor in layer.tensors},
    )
    return _enlarged(layer, mapping, tuple(in_time.values())), nest


def _enlarged(layer: Layer, mapping: Mapping, in_time: Factors) -> Layer:
    """The layer with bounds that are products of the steps; those over an axis are averaged."""
    spread = {loop.dim for loop in mapping.loops if loop.axis}
    bounds: dict[str, Any] = {
        dim: prod(int(factor) for name, factor in in_time if name == dim)
        for dim in DIMS
        if dim not in spread
    }
    grown = any(layer.bounds[dim] != bound for dim, bound in bounds.items())
    return replace(layer, **bounds, H=0, W=0) if grown else layer


def _spatial(
    mapping: Mapping, layer: Layer, machine: Accelerator, in_time: Factors
) -> dict[str, Factors]:
    """Factors by axis; of a dimension's several, the largest is the one that is averaged."""
    factors: dict[tuple[str, str], float] = {}
    for loop, trips in zip(mapping.loops, mapping.trips(layer), strict=True):
        if loop.axis and trips > 1:
            factors[loop.axis, loop.dim] = factors.get((loop.axis, loop.dim), 1) * trips
    for dim in DIMS:
        own = [key for key in factors if key[1] == dim]
        if own:
            largest = max(own, key=lambda key: factors[key])
            others = prod(factors[key] for key in own if key != largest)
            steps = prod(factor for name, factor in in_time if name == dim)
            factors[largest] = layer.bounds[dim] / steps / others
    return {
        axis: tuple((dim, factor) for (name, dim), factor in factors.items() if name == axis)
        for axis in machine.arrays[0].axes
    }


def _allocated(
    mapping: Mapping, machine: Accelerator, tensor: str, in_time: MappingType[int, Factor]
) -> tuple[Factors, ...]:
    """A tensor's temporal loops by memory: those between its store and the next one inwards."""
    above = dict(mapping.stores(tensor))
    missing = [name for name in levels(machine, tensor) if name not in above]
    if missing:
        raise MappingError(f"{tensor} bypasses {missing[0]}: ZigZag's form has no bypass")
    ends = len(mapping.loops)
    found = []
    for name in levels(machine, tensor):
        inside = range(ends - 1, above[name] - 1, -1)
        found.append(tuple(in_time[index] for index in inside if index in in_time))
        ends = above[name]
    return tuple(found)


def read(nest: ZigZagMapping, layer: Layer, machine: Accelerator) -> Mapping:
    """The mapping that a ZigZag result describes, its spatial loops just above the pads.

    Raises MappingError where the operands' allocations do not make one nest.
    """
    order = nest.order
    for tensor, memories in nest.temporal.items():
        if tuple(chain.from_iterable(memories)) != order:
            raise MappingError(f"{tensor} has other temporal loops than the rest")
    outer, inner = _positions(nest, machine)
    least = max(position for position, _, _ in outer)
    sunk = [(_sunk(at, tensor, order, least), name, tensor) for at, name, tensor in inner]
    early = [f"{tensor} in {name}" for at, name, tensor in sunk if at < least]
    if early:
        raise MappingError(f"{early[0]} outlives a tile above the array: not one loop nest")
    array = min((position for position, _, _ in sunk), default=len(order))
    return Mapping(tuple(_nodes(nest, layer, machine, outer, sunk, array)))


Position = tuple[int, str, str]


def _positions(nest: ZigZagMapping, machine: Accelerator) -> tuple[list[Position], list[Position]]:
    """(temporal loops outside, level, tensor) of every store: those above the array, and below."""
    outer: list[Position] = []
    inner: list[Position] = []
    array = machine.depth(next(iter(machine.arrays[0].axes)))
    for tensor, memories in nest.temporal.items():
        outside = len(nest.order)
        for name, loops in zip(levels(machine, tensor), memories, strict=True):
            outside -= len(loops)
            side = outer if machine.depth(name) < array else inner
            side.append((outside, name, tensor))
    return outer, inner


def _sunk(position: int, tensor: str, order: Factors, least: int) -> int:
    """A store moved inwards to `least` as far as the loops on the way leave its tile alone."""
    while position < least and order[len(order) - 1 - position][0] not in RELEVANT[tensor]:
        position += 1
    return position


def _nodes(
    nest: ZigZagMapping,
    layer: Layer,
    machine: Accelerator,
    outer: list[Position],
    inner: list[Position],
    array: int,
) -> Iterator[Node]:
    """Stores and loops, outermost first."""
    spatial = [(dim, factor, axis) for axis, own in nest.spatial.items() for dim, factor in own]
    temporal: list[tuple[str, float, str | None]] = [
        (dim, factor, None) for dim, factor in reversed(nest.order)
    ]
    loops = _tiled([*temporal[:array], *spatial, *temporal[array:]], layer)
    for position in range(len(temporal) + 1):
        yield from _stores(outer, position, machine)
        if position == array:
            yield from loops[array : array + len(spatial)]
        yield from _stores(inner, position, machine)
        if position < len(temporal):
            yield loops[position if position < array else position + len(spatial)]


def _tiled(factors: list[tuple[str, float, str | None]], layer: Layer) -> list[Loop]:
    """Loops, outermost first: each one's tile is what the factors inside it make up."""
    tile, found = dict.fromkeys(DIMS, 1), []
    for dim, factor, axis in reversed(factors):
        found.append(Loop(dim, min(tile[dim], layer.bounds[dim]), axis))
        tile[dim] *= ceil(factor)
    return found[::-1]


def _stores(places: list[Position], position: int, machine: Accelerator) -> Iterator[Store]:
    """The stores at a position, outermost level first."""
    for level in machine.levels:
        tensors = tuple(
            tensor for at, name, tensor in places if at == position and name == level.level
        )
        if tensors:
            yield Store(level.level, tensors)


def file_records(nest: ZigZagMapping, *, axes: MappingType[str, str]) -> list[dict[str, Any]]:
    """ZigZag's mapping file: spatial factors and the order of temporal loops.

    `axes` names ZigZag's array dimensions, {"X": "D1", "Y": "D2"}. Averaged factors are rounded up;
    ZigZag averages them itself.
    """
    spatial = {
        axes[axis]: [f"{NAMES[dim]}, {ceil(factor)}" for dim, factor in own]
        for axis, own in nest.spatial.items()
        if own
    }
    return [
        {
            "name": "default",
            "spatial_mapping": spatial,
            "temporal_ordering": [[NAMES[dim], int(factor)] for dim, factor in nest.order],
            "memory_operand_links": dict(MEMORY_OPERANDS),
        }
    ]


def result_records(nest: ZigZagMapping, *, axes: MappingType[str, str]) -> dict[str, Any]:
    """A ZigZag result's mapping as plain records, which `from_result` reads back."""
    return {
        "spatial": {
            axes[axis]: [[NAMES[dim], factor] for dim, factor in own]
            for axis, own in nest.spatial.items()
        },
        "temporal": {
            OPERANDS[tensor]: [[[NAMES[dim], factor] for dim, factor in own] for own in memories]
            for tensor, memories in nest.temporal.items()
        },
    }


def from_result(records: MappingType[str, Any], *, axes: MappingType[str, str]) -> ZigZagMapping:
    """The mapping in a ZigZag result; see `result_records`. Loops of one step are left out."""
    dims = {name: dim for dim, name in NAMES.items()}

    def factors(own: list[list[Any]]) -> Factors:
        return tuple((dims[name], factor) for name, factor in own if factor > 1)

    return ZigZagMapping(
        {axis: factors(records["spatial"].get(name, [])) for axis, name in axes.items()},
        {
            tensor: tuple(factors(own) for own in records["temporal"][operand])
            for tensor, operand in OPERANDS.items()
            if operand in records["temporal"]
        },
    )
