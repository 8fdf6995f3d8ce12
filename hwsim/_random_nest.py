"""A random valid mapping of a layer, on any machine.

The nest grows from the inside out: each level of memory and each array takes some steps, and a step
takes one dimension from its tile to a larger one, for which everything that is still to be kept, at
this level or further out, must have room. So no nest that is begun is thrown away. Sizes fall
evenly on a logarithmic scale; a nest's eagerness, drawn once, is how often it takes the largest.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as MappingType
from itertools import groupby
from math import ceil
from random import Random
from typing import TypeVar

from hwsim.constraints import Constraints
from hwsim.dataflows._parts import even_tile, largest, start
from hwsim.dataflows._spread import Extent, serial
from hwsim.errors import MappingError
from hwsim.hardware import Accelerator, Array
from hwsim.mapping import Loop, Mapping, Node, Store, kept_bits, overflow, tile_words
from hwsim.workload import DIMS, RELEVANT, TENSORS, Layer

MOST_STEPS = 6  # of a side of an array, and of each axis

Kept = tuple[str, str]  # a level and a tensor
T = TypeVar("T")


class RandomNest:
    """A nest that grows outwards, a node at a time; what it is still to keep always fits.

    It obeys the constraints but for the dataflow. Raises MappingError where single words do not
    fit.
    """

    def __init__(
        self, layer: Layer, machine: Accelerator, constraints: Constraints, chance: Random
    ) -> None:
        self.layer, self.machine = layer, machine
        self.constraints, self.chance = constraints, chance
        self.eagerness = chance.random()
        self.extent = dict.fromkeys(DIMS, 1)
        self.nodes: list[Node] = []  # innermost first
        self.placed: dict[Kept, Extent] = {}
        self.kept = self._chosen()

    def grown(self) -> Mapping:
        """The whole nest."""
        side: list[str] = []
        for part in reversed(self.machine.hierarchy[1:]):
            if isinstance(part, Array):
                self._in_time(side)
                self._in_space(part)
                side = []
            else:
                side.append(part.level)
        self._in_time(side)
        for dim in self._shuffled(DIMS):
            self._grow(dim, self.layer.bounds[dim])
        self.nodes += reversed(start(self.layer, self.machine))
        return Mapping(tuple(_joined(reversed(self.nodes))))

    def _chosen(self) -> list[Kept]:
        """What is kept below its home, innermost first: all that must be, by chance what may be."""
        depth, home = self.machine.depth, self.machine.home
        stores = [
            (level.level, tensor)
            for level in reversed(self.machine.levels[1:])
            for tensor in self.layer.tensors
            if level.memory(tensor) and tensor not in self.constraints.bypass.get(level.level, ())
            if depth(level.level) > depth(home(tensor))
        ]
        optional = self._shuffled(store for store in stores if self._may_bypass(*store))
        kept = [store for store in stores if store not in optional or self.chance.random() < 0.5]
        for store in (None, *optional):
            kept = [each for each in kept if each != store]
            if self._fits(self.extent, kept):
                return kept
        excess = overflow(serial(self.layer, self.machine, "".join(DIMS)), self.layer, self.machine)
        raise MappingError(f"layer {self.layer.name!r}: {excess}")

    def _may_bypass(self, level: str, tensor: str) -> bool:
        memory = self.machine.level(level).memory(tensor)
        required = tensor in self.constraints.keep.get(level, ())
        return memory is not None and memory.bypass and not required

    def _in_time(self, levels: list[str]) -> None:
        """Keeps what these levels keep, between steps in time."""
        stores = [store for store in self.kept if store[0] in levels]
        waiting = {tensor: [level for level, t in stores if t == tensor] for tensor in TENSORS}
        steps = [""] * self.chance.randint(0, MOST_STEPS)
        for tensor in self._shuffled([*steps, *(tensor for _, tensor in stores)]):
            if tensor:
                self._place(waiting[tensor].pop(0), tensor)
            else:
                self._step(DIMS)

    def _in_space(self, array: Array) -> None:
        """Steps along the axes of an array, as far as these have places."""
        places = dict(array.axes)
        steps = [axis for axis in places for _ in range(self.chance.randint(0, MOST_STEPS))]
        for axis in self._shuffled(steps):
            dims = self.constraints.spatial.get(axis, DIMS)
            places[axis] //= self._step(dims, axis=axis, places=places[axis])

    def _step(self, dims: Sequence[str], *, axis: str | None = None, places: int = 0) -> int:
        """Takes a dimension to a larger tile if one has room; how many of the smaller it spans."""
        open_dims = [dim for dim in dims if self.extent[dim] < self.layer.bounds[dim]]
        if not open_dims:
            return 1
        dim = self.chance.choice(open_dims)
        high = self._largest(dim, self.extent[dim] * places if axis else self.layer.bounds[dim])
        return self._grow(dim, self._size(dim, high), axis)

    def _largest(self, dim: str, most: int) -> int:
        """The largest tile of a dimension, up to `most`, for which there is room."""
        low, most = self.extent[dim], min(most, self.layer.bounds[dim])

        def fit(size: int) -> bool:
            return size <= low or self._fits(self.extent | {dim: size}, self.kept)

        return largest(most, fit)

    def _size(self, dim: str, high: int) -> int:
        """A larger tile: of any size, of whole smaller ones, or one that cuts the bound evenly."""
        low = self.extent[dim]
        if high == low:
            return low
        eager = self.chance.random() < self.eagerness
        size = high if eager else ceil(low * (high / low) ** self.chance.random())
        sizes = size, size // low * low, even_tile(self.layer.bounds[dim], size)
        return self.chance.choice([each for each in sizes if each > low] or [high])

    def _grow(self, dim: str, size: int, axis: str | None = None) -> int:
        low = self.extent[dim]
        if size > low:
            self.nodes.append(Loop(dim, low, axis))
            self.extent[dim] = size
        return ceil(size / low)

    def _place(self, level: str, tensor: str) -> None:
        self.nodes.append(Store(level, (tensor,)))
        self.placed[level, tensor] = dict(self.extent)

    def _fits(self, extent: Extent, kept: Sequence[Kept]) -> bool:
        """Whether all that is kept has room, what is not yet placed in tiles of this extent."""
        for level in self.machine.levels[1:]:
            for memory in level.memories:
                tiles = {
                    tensor: self.placed.get((level.level, tensor), extent)
                    for tensor in memory.tensors
                    if (level.level, tensor) in kept
                }
                bits = sum(
                    kept_bits(self.layer, memory, tensor) * tile_words(self.layer, tensor, tile)
                    for tensor, tile in tiles.items()
                )
                if bits > memory.usable_bits or not self._allowed(level.level, tiles):
                    return False
        return True

    def _allowed(self, level: str, tiles: MappingType[str, Extent]) -> bool:
        """Whether no tile is larger than the constraints let it be."""
        return all(
            tile[dim] <= most
            for dim, most in self.constraints.tiles.get(level, {}).items()
            for tensor, tile in tiles.items()
            if dim in RELEVANT[tensor]
        )

    def _shuffled(self, items: Iterable[T]) -> list[T]:
        listed = list(items)
        return self.chance.sample(listed, len(listed))


def _joined(nodes: Iterable[Node]) -> Iterator[Node]:
    """The nodes, neighbouring stores of one level made one."""
    for level, group in groupby(nodes, key=lambda node: isinstance(node, Store) and node.level):
        stores = list(group)
        if level:
            yield Store(level, tuple(t for s in stores if isinstance(s, Store) for t in s.tensors))
        else:
            yield from stores
