"""Pieces that every dataflow's loop nests are made of."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware import Accelerator, Array, MemoryLevel
from hwsim.mapping import Loop, Mapping, Node, Store, excess, kept_bits, rooms
from hwsim.workload import Layer

Ints = NDArray[np.int64]
Size = TypeVar("Size", int, Ints)


def outer_levels(machine: Accelerator) -> tuple[MemoryLevel, ...]:
    """Memory levels between DRAM and the PEs, with the tensors that they may keep tiles of."""
    return tuple(
        _tiled(level, machine)
        for level in machine.levels[1:]
        if machine.depth(level.level) < first_pe(machine)
    )


def inner_levels(machine: Accelerator) -> tuple[MemoryLevel, ...]:
    """Memory levels of the PEs: the pads."""
    return tuple(
        level for level in machine.levels[1:] if machine.depth(level.level) >= first_pe(machine)
    )


def _tiled(level: MemoryLevel, machine: Accelerator) -> MemoryLevel:
    """A level without the tensors that live there."""
    here = {tensor for tensor in machine.homes if machine.home(tensor) == level.level}
    if not here:
        return level
    memories = (
        memory.model_copy(update={"tensors": left})
        for memory in level.memories
        if (left := tuple(tensor for tensor in memory.tensors if tensor not in here))
    )
    return level.model_copy(update={"memories": tuple(memories)})


def first_pe(machine: Accelerator) -> int:
    """Position of the outermost array in the hierarchy, of the pads where there is none."""
    arrays = (i for i, part in enumerate(machine.hierarchy) if isinstance(part, Array))
    pads = (machine.depth(level.level) for level in machine.levels if level.component == "spad")
    return next(chain(arrays, pads), len(machine.hierarchy))


def grid(machine: Accelerator) -> tuple[tuple[str | None, int], tuple[str | None, int]]:
    """((columns' axis, size), (rows' axis, size)) of the outermost array; size 1 where absent."""
    axes: list[tuple[str | None, int]] = [(None, 1), (None, 1)]
    if machine.arrays:
        axes = [*machine.arrays[0].axes.items(), *axes]
    return axes[0], axes[1]


def start(layer: Layer, machine: Accelerator) -> list[Node]:
    """Each tensor is kept at its home, which is DRAM unless the machine says otherwise."""
    return [
        Store(level.level, tensors)
        for level in machine.levels
        if (tensors := tuple(t for t in layer.tensors if machine.home(t) == level.level))
    ]


def keep(levels: Iterable[MemoryLevel], layer: Layer, *tensors: str) -> list[Node]:
    """Every level that can keeps the tensors, outermost first."""
    nodes: list[Node] = []
    for level in levels:
        kept = tuple(t for t in tensors if t in layer.tensors and level.memory(t))
        if kept:
            nodes.append(Store(level.level, kept))
    return nodes


def fits(levels: Sequence[MemoryLevel], layer: Layer, words: dict[str, int]) -> bool:
    """Whether tiles of so many words fit every level that keeps those tensors."""
    return all(
        sum(words[t] * kept_bits(layer, memory, t) for t in memory.tensors if t in words)
        <= memory.usable_bits
        for level in levels
        for memory in level.memories
    )


def nest(layer: Layer, nodes: Iterable[Node]) -> Mapping:
    """The mapping of these nodes: tiles cut to what is left, loops of one trip left out."""
    extent, kept = dict(layer.bounds), list[Node]()
    for node in nodes:
        if isinstance(node, Loop):
            tile = min(node.tile, extent[node.dim])
            if tile == extent[node.dim]:
                continue
            extent[node.dim] = tile
            if tile < node.tile:
                node = Loop(node.dim, tile, node.axis)
        kept.append(node)
    return Mapping(tuple(kept))


def fitting(layer: Layer, machine: Accelerator, candidates: Iterable[Mapping]) -> Iterator[Mapping]:
    """The candidates that fit, each with and without its optional stores.

    Keeping a tensor in one buffer more may save a transfer's stalls and cost its energy.
    """
    optional = {
        Store(level.level, ("weight",)) for level in outer_levels(machine) if _optional(level)
    }
    room = rooms(layer, machine)
    for candidate in candidates:
        fit = excess(candidate, layer, room) is None
        if fit:
            yield candidate
        if optional.intersection(node for node in candidate if isinstance(node, Store)):
            fewer = Mapping(tuple(node for node in candidate if node not in optional))
            if fit or excess(fewer, layer, room) is None:
                yield fewer


def _optional(level: MemoryLevel) -> bool:
    memory = level.memory("weight")
    return memory is not None and memory.bypass


def tile_sizes(bound: int, most: int | None = None) -> list[int]:
    """The smallest tile for each number of tiles that a bound can be cut into, largest first."""
    sizes, tile = [], bound if most is None else min(bound, most)
    while tile >= 1:
        tile = even_tile(bound, tile)
        sizes.append(tile)
        tile -= 1
    return sizes


def halves(bound: int) -> list[int]:
    """A bound halved, rounding up, until 1: few sizes for a dimension that costs little to cut."""
    return [bound] if bound == 1 else [bound, *halves(-(-bound // 2))]


def even_tile(bound: Size, most: Size) -> Size:
    """The smallest tile that cuts a bound into no more tiles than tiles of `most` do."""
    return -(-bound // -(-bound // most))


def largest(bound: int, allowed: Callable[[int], bool]) -> int:
    """The largest size in 1..bound that is allowed, all smaller ones being so too; 0 if none is."""
    return bisect_left(range(1, bound + 1), True, key=lambda size: not allowed(size))
