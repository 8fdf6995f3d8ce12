"""Where and when every MAC of a layer runs: loops and the points at which tiles are kept.

A mapping is one list of nodes, outermost first. A `Loop` steps through what is left of a dimension
in tiles, in time, or in space along an array axis. A `Store` keeps, at one memory level, the tiles
of some tensors that the nodes after it work on. A tensor without a `Store` at a level bypasses it.
The last tile of a loop may be smaller than the others (a ragged edge); it is counted exactly.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from math import ceil, gcd, prod
from typing import Any, NamedTuple

from hwsim.errors import MappingError
from hwsim.hardware import Accelerator, Array, Memory, MemoryLevel
from hwsim.workload import DIMS, RELEVANT, Layer

REDUCED = frozenset("CRS")


@dataclass(frozen=True)
class Loop:
    """Steps through the rest of `dim` in tiles of `tile`; in space where `axis` names one."""

    dim: str
    tile: int
    axis: str | None = None

    def __str__(self) -> str:
        how = f"spatially over {self.axis}: " if self.axis else ""
        return f"{how}{self.dim} in tiles of {self.tile}"


@dataclass(frozen=True)
class Store:
    """Keeps the current tiles of `tensors` at memory level `level`."""

    level: str
    tensors: tuple[str, ...]

    def __str__(self) -> str:
        return f"[{self.level} keeps {', '.join(self.tensors)}]"


Node = Loop | Store


@dataclass(frozen=True)
class Mapping:
    """A loop nest with storage points, outermost first."""

    nodes: tuple[Node, ...]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __str__(self) -> str:
        depth, lines = 0, []
        for node in self.nodes:
            lines.append("  " * depth + str(node))
            depth += isinstance(node, Loop)
        return "\n".join(lines)

    @cached_property
    def loops(self) -> tuple[Loop, ...]:
        """The loops alone, outermost first."""
        return tuple(node for node in self.nodes if isinstance(node, Loop))

    def stores(self, tensor: str) -> tuple[tuple[str, int], ...]:
        """(level, loops before it) of each store of a tensor, outermost first."""
        return self._stores.get(tensor, ())

    @cached_property
    def _stores(self) -> dict[str, tuple[tuple[str, int], ...]]:
        """By tensor its stores."""
        found: dict[str, tuple[tuple[str, int], ...]] = {}
        before = 0
        for node in self.nodes:
            if isinstance(node, Loop):
                before += 1
                continue
            for tensor in node.tensors:
                found[tensor] = (*found.get(tensor, ()), (node.level, before))
        return found

    def tile(self, layer: Layer, before: int) -> dict[str, int]:
        """The largest extent of each dimension below the first `before` loops."""
        extent = dict(layer.bounds)
        for loop in self.loops[:before]:
            extent[loop.dim] = min(extent[loop.dim], loop.tile)
        return extent

    def trips(self, layer: Layer) -> tuple[int, ...]:
        """How many tiles each loop goes through, or spreads over its axis, at most."""
        extent, found = dict(layer.bounds), []
        for loop in self.loops:
            found.append(ceil(extent[loop.dim] / loop.tile))
            extent[loop.dim] = min(extent[loop.dim], loop.tile)
        return tuple(found)

    def active_pes(self, layer: Layer) -> int:
        """PEs that ever work; a ragged edge leaves some of the occupied places without any."""
        return prod(
            instances([loop for loop in self.loops if loop.dim == dim], bound, busy=True)
            for dim, bound in layer.bounds.items()
        )

    def to_yaml(self) -> list[dict[str, Any]]:
        """Plain records, as a user's file holds them; `from_yaml` reads them back."""
        return [
            {"store": node.level, "tensors": list(node.tensors)}
            if isinstance(node, Store)
            else {"for": node.dim, "tile": node.tile} | ({"axis": node.axis} if node.axis else {})
            for node in self.nodes
        ]

    @staticmethod
    def from_yaml(records: Sequence[dict[str, Any]]) -> "Mapping":
        """The mapping that `to_yaml` wrote. Raises MappingError naming the record."""
        return Mapping(tuple(read_node(index, record) for index, record in enumerate(records)))


def instances(loops: Sequence[Loop], length: int, *, busy: bool) -> int:
    """Places that the spatial ones among one dimension's loops tell apart, or those ever `busy`."""
    if not loops:
        return 1
    tile, inner = min(loops[0].tile, length), loops[1:]
    if not loops[0].axis:
        return instances(inner, tile, busy=busy)
    full, ragged = divmod(length, tile) if busy else (ceil(length / tile), 0)
    edge = instances(inner, ragged, busy=busy) if ragged else 0
    return full * instances(inner, tile, busy=busy) + edge


def read_node(index: int, record: Any) -> Node:
    """The node in a record of `to_yaml`. Raises MappingError naming the record and its index."""
    match record:
        case {"store": str(level), "tensors": [*tensors], **rest} if not rest:
            return Store(level, tuple(str(tensor) for tensor in tensors))
        case {"for": str(dim), "tile": int(tile), **rest} if not rest and tile is not True:
            return Loop(dim, tile)
        case {"for": str(dim), "tile": int(tile), "axis": str(axis), **rest} if not rest:
            return Loop(dim, tile, axis)
    raise MappingError(
        f"mapping[{index}] = {record!r}: needs 'store' and 'tensors', or 'for', 'tile' and 'axis'"
    )


def ifmap_extent(tile: int, window: int, *, stride: int, dilation: int) -> int:
    """Distinct ifmap rows that `tile` ofmap rows and `window` filter rows touch, padding included.

    Fewer than the hull where the stride skips rows. Row p * stride + r * dilation is reached again
    from (p + dilation / g, r - stride / g), g their greatest common divisor.
    """
    g = gcd(stride, dilation)
    again = max(tile - dilation // g, 0) * max(window - stride // g, 0)
    return tile * window - again


def tile_words(layer: Layer, tensor: str, extent: dict[str, int]) -> int:
    """Elements of `tensor` in a tile of the given extents."""
    if tensor != "ifmap":
        return prod(extent[dim] for dim in RELEVANT[tensor])
    rows = ifmap_extent(extent["P"], extent["R"], stride=layer.stride_h, dilation=layer.dilation_h)
    columns = ifmap_extent(
        extent["Q"], extent["S"], stride=layer.stride_w, dilation=layer.dilation_w
    )
    rows = min(rows, layer.H + 2 * layer.pad_h)
    columns = min(columns, layer.W + 2 * layer.pad_w)
    return layer.operands * extent["N"] * extent["G"] * extent["C"] * rows * columns


def kept_bits(layer: Layer, memory: Memory, tensor: str) -> float:
    """Room of one element of a tensor in a memory; an ofmap is kept as psums on chip."""
    if tensor == "ofmap":
        return memory.element_bits(layer.psum.bits)
    bits = memory.element_bits(layer.tensor(tensor).bits)
    return min(bits, memory.code_bits(layer, tensor))


class Room(NamedTuple):
    """A memory's level, the bits that tiles may fill, and those of an element of each tensor."""

    level: str
    usable_bits: float
    element_bits: tuple[tuple[str, float], ...]


def rooms(
    layer: Layer, machine: Accelerator, *, levels: Iterable[MemoryLevel] | None = None
) -> tuple[Room, ...]:
    """Those of all memories at these levels, or of all but the outermost."""
    return tuple(
        Room(
            level.level,
            memory.usable_bits,
            tuple(
                (tensor, kept_bits(layer, memory, tensor))
                for tensor in memory.tensors
                if tensor in layer.tensors
            ),
        )
        for level in (machine.levels[1:] if levels is None else levels)
        for memory in level.memories
    )


def overflow(mapping: Mapping, layer: Layer, machine: Accelerator) -> str | None:
    """Which tensors exceed which level, and by how much; None where everything fits.

    A tensor at home takes no tile's room.
    """
    return excess(mapping, layer, rooms(layer, machine))


def excess(mapping: Mapping, layer: Layer, rooms: Iterable[Room]) -> str | None:
    """The same, of these memories."""
    return next(_excesses(mapping, layer, rooms), None)


def _excesses(mapping: Mapping, layer: Layer, rooms: Iterable[Room]) -> Iterator[str]:
    tiles: dict[int, dict[str, int]] = {}
    for room in rooms:
        sizes = {}
        for tensor, bits in room.element_bits:
            for name, before in mapping.stores(tensor)[1:]:
                if name == room.level:
                    if before not in tiles:
                        tiles[before] = mapping.tile(layer, before)
                    sizes[tensor] = bits * tile_words(layer, tensor, tiles[before])
        if sum(sizes.values()) > room.usable_bits:
            listed = " + ".join(f"{tensor} {bits}" for tensor, bits in sizes.items())
            yield f"{room.level}: {listed} bits exceed {room.usable_bits:.0f}"


def validate(mapping: Mapping, layer: Layer, machine: Accelerator) -> None:
    """Raises MappingError, in one line, unless the machine can run the mapping."""
    found = faults(mapping, layer, machine)
    if found:
        raise MappingError(f"layer {layer.name!r}: {found[0]}")


def faults(mapping: Mapping, layer: Layer, machine: Accelerator) -> list[str]:
    """What keeps the machine from running the mapping, a line each; none where nothing does.

    Where loops or stores make no sense by themselves, nothing is said of how they go together.
    """
    return next((found for found in map(list, _checks(mapping, layer, machine)) if found), [])


def _checks(mapping: Mapping, layer: Layer, machine: Accelerator) -> Iterator[Iterable[str]]:
    """What is wrong; each check relies on those before it having found nothing."""
    yield chain(_loop_faults(mapping, layer), _store_faults(mapping, layer, machine))
    yield chain(*(_tensor_faults(mapping, tensor, machine) for tensor in layer.tensors))
    yield _side_faults(mapping, machine)
    yield _axis_faults(mapping, layer, machine)
    yield _excesses(mapping, layer, rooms(layer, machine))


def _loop_faults(mapping: Mapping, layer: Layer) -> Iterator[str]:
    extent = dict(layer.bounds)
    for loop in mapping.loops:
        if loop.dim not in extent or not 1 <= loop.tile <= extent[loop.dim]:
            yield (
                f"{loop}: dimension must be one of {' '.join(DIMS)} and the "
                f"tile within 1..{extent.get(loop.dim, 0)}"
            )
        extent[loop.dim] = loop.tile
    left = {dim: size for dim, size in extent.items() if size > 1}
    if left:
        yield f"no loop goes through {left}"


def _store_faults(mapping: Mapping, layer: Layer, machine: Accelerator) -> Iterator[str]:
    known = [level.level for level in machine.levels]
    for store in (node for node in mapping if isinstance(node, Store)):
        if store.level not in known:
            yield f"{machine.name} has no level {store.level!r}"
        if not set(store.tensors) <= set(layer.tensors):
            yield f"{store}: its tensors are {', '.join(layer.tensors)}"


def _tensor_faults(mapping: Mapping, tensor: str, machine: Accelerator) -> Iterator[str]:
    known = [level.level for level in machine.levels]
    names = [name for name, _ in mapping.stores(tensor)]
    home = machine.home(tensor)
    if not names or mapping.stores(tensor)[0] != (home, 0):
        yield f"{home} must keep {tensor} first of all"
    if any(known.index(inner) <= known.index(outer) for outer, inner in pairwise(names)):
        yield f"{tensor} is kept inner level first: {names}"
    for level in machine.levels[known.index(home) :]:
        memory = level.memory(tensor)
        if memory is None and level.level in names:
            yield f"{level.level} cannot keep {tensor}"
        if memory is not None and not memory.bypass and level.level not in names:
            yield f"{tensor} may not bypass {level.level}"


def _side_faults(mapping: Mapping, machine: Accelerator) -> Iterator[str]:
    deepest = 0
    for node in mapping:
        place = node.level if isinstance(node, Store) else node.axis
        if place is None:
            continue
        if isinstance(node, Loop) and not any(place in array.axes for array in machine.arrays):
            yield f"{machine.name} has no axis {place!r}"
            continue
        depth = machine.depth(place)
        if depth < deepest and _crosses_array(machine, depth, deepest):
            yield f"{node} lies on the wrong side of an array"
        deepest = max(deepest, depth)


def _crosses_array(machine: Accelerator, depth: int, deepest: int) -> bool:
    return any(isinstance(part, Array) for part in machine.hierarchy[depth : deepest + 1])


def _axis_faults(mapping: Mapping, layer: Layer, machine: Accelerator) -> Iterator[str]:
    used = {axis: 1 for array in machine.arrays for axis in array.axes}
    for loop, trips in zip(mapping.loops, mapping.trips(layer), strict=True):
        if loop.axis:
            used[loop.axis] *= trips
    for array in machine.arrays:
        for axis, size in array.axes.items():
            if used[axis] > size:
                yield (
                    f"axis {axis} of {machine.name} has {size} places, "
                    f"the mapping needs {used[axis]}"
                )
