"""All orders of the loops of a tiny layer on a machine, and where tensors may be kept between them.

Left out are only nests and places of which another one has exactly the same counts:

- a loop of one trip: it changes neither tiles, nor instances, nor what is sent when;
- of two neighbours of different dimensions, with no store between them, one order suffices where
  one of them at least is in space. Counts depend on each dimension's own chain of loops above a
  store, and on which loops in time lie above its mover; to swap the two changes neither. No store
  lies between two loops over axes of one array, since outer levels are kept before all of them and
  inner ones after;
- stores before the same loop, or of the same level, in any order: outer levels first is one that
  is valid where any is.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations, pairwise, product
from typing import NamedTuple

from hwsim.hardware import Accelerator
from hwsim.mapping import Loop
from hwsim.workload import DIMS, RELEVANT, Layer

Stored = tuple[str, int]  # a level, and how many loops lie above the store
Choice = tuple[Stored, ...]  # one tensor's stores, outermost first
Limits = tuple[tuple[int, int], ...]  # by array, loops above the first of its own, and to the last
Chains = tuple[int, ...]

NEVER = 2**30  # deeper than any loop


class Mover(NamedTuple):
    """A tensor's innermost loop in time through its own dimensions: how many loops there are down
    to it, their chains, and its dimension."""

    depth: int
    chains: Chains
    dim: str


class Point(NamedTuple):
    """A place in a nest, below `loops`.

    `left` of each dimension, `room` along each axis; `chains`: a number for each dimension that
    tells its loops' tiles and axes.
    """

    loops: tuple[Loop, ...]
    left: dict[str, int]
    room: dict[str, int]
    chains: Chains
    movers: dict[str, Mover]


Path = tuple[Point, ...]  # from above all loops to below them all


class Nests:
    """The orders of loops of one layer on one machine."""

    def __init__(self, layer: Layer, machine: Accelerator) -> None:
        self.layer, self.machine = layer, machine
        self._array = {axis: i for i, array in enumerate(machine.arrays) for axis in array.axes}
        self._chains: dict[tuple[int, Loop], int] = {}

    def paths(self) -> Iterator[Path]:
        """Every order of every chain of strictly falling tiles of every dimension."""
        none = (0,) * len(DIMS)
        room = {axis: size for array in self.machine.arrays for axis, size in array.axes.items()}
        yield from self._longer((Point((), dict(self.layer.bounds), room, none, {}),))

    def limits(self, loops: Sequence[Loop]) -> Limits:
        """By array, how many loops lie above the first one over it and how many down to the last
        one; where there is none, all and 0."""
        found = []
        for array in self.machine.arrays:
            own = [i for i, loop in enumerate(loops) if loop.axis in array.axes]
            found.append((own[0], own[-1] + 1) if own else (len(loops), 0))
        return tuple(found)

    def _longer(self, path: Path) -> Iterator[Path]:
        point = path[-1]
        if all(size == 1 for size in point.left.values()):
            yield path
        for dim, size in point.left.items():
            for tile, axis in product(range(1, size), (None, *point.room)):
                loop = Loop(dim, tile, axis)
                if axis is None or self._may_spread(point, loop, axis):
                    yield from self._longer((*path, self._below(point, loop)))

    def _may_spread(self, point: Point, loop: Loop, axis: str) -> bool:
        """Whether there is room, no inner array comes first, and no equal order stands for it."""
        if -(-point.left[loop.dim] // loop.tile) > point.room[axis]:
            return False
        arrays = [self._array[other.axis] for other in point.loops if other.axis]
        own = self._array[axis]
        if any(array > own for array in arrays):
            return False
        if own not in arrays or point.loops[-1].dim == loop.dim:
            return True
        return point.loops[-1].axis is not None and point.loops[-1].dim < loop.dim

    def _below(self, point: Point, loop: Loop) -> Point:
        at = DIMS.index(loop.dim)
        number = self._chains.setdefault((point.chains[at], loop), len(self._chains) + 1)
        chains = (*point.chains[:at], number, *point.chains[at + 1 :])
        left = point.left | {loop.dim: loop.tile}
        loops = (*point.loops, loop)
        if loop.axis:
            trips = -(-point.left[loop.dim] // loop.tile)
            room = point.room | {loop.axis: point.room[loop.axis] // trips}
            return Point(loops, left, room, chains, point.movers)
        mover = Mover(len(loops), chains, loop.dim)
        moved = {t: mover for t in self.layer.tensors if loop.dim in RELEVANT[t]}
        return Point(loops, left, point.room, chains, point.movers | moved)


class Places:
    """Where each tensor of a layer may be kept on a machine."""

    def __init__(self, machine: Accelerator) -> None:
        self.machine = machine
        self.arrays = [machine.depth(next(iter(array.axes))) for array in machine.arrays]
        self.choices = lru_cache(maxsize=None)(self._choices)

    def _choices(self, tensor: str, loops: int, limits: Limits) -> list[Choice]:
        """Every choice of levels and of depths among so many loops, on the right side of each
        array's own loops."""
        dram = self.machine.levels[0].level
        return [
            ((dram, 0), *zip(levels, depths, strict=True))
            for levels in self._levels(tensor)
            for depths in product(*(self._range(level, loops, limits) for level in levels))
            if all(outer <= inner for outer, inner in pairwise(depths))
        ]

    def sides(self, choice: Choice) -> list[tuple[int, int]]:
        """By array, the deepest store outside it and the first one inside."""
        stores = [(self.machine.depth(level), depth) for level, depth in choice]
        return [
            (
                max(depth for level, depth in stores if level < at),
                min((depth for level, depth in stores if level > at), default=NEVER),
            )
            for at in self.arrays
        ]

    def _levels(self, tensor: str) -> Iterator[tuple[str, ...]]:
        """Every choice of levels, outermost first, that bypasses none that must be used."""
        kept = [(part.level, part.memory(tensor)) for part in self.machine.levels[1:]]
        known = [name for name, memory in kept if memory]
        needed = {name for name, memory in kept if memory and not memory.bypass}
        for count in range(len(known) + 1):
            yield from (names for names in combinations(known, count) if needed <= set(names))

    def _range(self, level: str, loops: int, limits: Limits) -> range:
        depth = self.machine.depth(level)
        first = [last for at, (_, last) in zip(self.arrays, limits, strict=True) if at < depth]
        last = [first for at, (first, _) in zip(self.arrays, limits, strict=True) if at > depth]
        return range(max(first, default=0), min(last, default=loops) + 1)
