"""Mappings that come to the counts of a nest that the search found."""

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hwsim.constraints import FREE, Constraints, admits
from hwsim.hardware import Accelerator
from hwsim.mapping import Loop, Mapping, Node, Store, overflow
from hwsim.search.leaf import TILES, WITHIN, X, Y
from hwsim.search.problem import AXES
from hwsim.search.structures import Structure
from hwsim.search.ways import CHUNK, PADS, PLACES, WIDTH
from hwsim.workload import DIMS, Layer

Ints = NDArray[np.int64]
Tiles = dict[str, int]


def mappings(
    layer: Layer,
    machine: Accelerator,
    structure: Structure,
    leaf: Ints,
    constraints: Constraints = FREE,
) -> Iterator[Mapping]:
    """Every way to write a nest down whose tiles fit and which the constraints admit: the loop
    before each of the ifmap's stores that comes last, and whether tiles are raised to whole numbers
    of those within."""
    found: dict[Mapping, None] = {}
    for raised in (True, False):
        nest = _Nest(layer, machine, structure, leaf, raised, constraints)
        for choice in product(*nest.slides()):
            found[Mapping(tuple(nest.nodes(choice)))] = None
    for mapping in found:
        fits = overflow(mapping, layer, machine) is None
        if fits and admits(constraints, mapping, layer, machine):
            yield mapping


class _Nest:
    """One nest, as loops and stores."""

    def __init__(
        self,
        layer: Layer,
        machine: Accelerator,
        structure: Structure,
        leaf: Ints,
        raised: bool,
        constraints: Constraints,
    ) -> None:
        self.layer, self.machine, self.structure, self.raised = layer, machine, structure, raised
        axes = [axis for array in machine.arrays for axis in array.axes]
        self.along = {axis: constraints.spatial.get(axis, DIMS) for axis in axes}
        self.above: list[Tiles] = [{} for _ in range(len(structure.outer) + 1)]
        self.within: list[Tiles] = [{} for _ in range(len(structure.inner) + 1)]
        self.places: dict[str, tuple[int, int]] = {}
        for (first, second), row in zip(AXES, leaf, strict=True):
            self._read(first, second, [int(value) for value in row])

    def _read(self, first: str, second: str, row: list[int]) -> None:
        ways = {first: row[WITHIN : WITHIN + WIDTH], second: row[WITHIN + WIDTH : TILES]}
        tiles = row[TILES:]
        spread = {dim: way[PLACES] for dim, way in ways.items() if dim}
        self.places.update(self._split(row[X], row[Y], spread))
        for dim in spread:
            self._chain(dim, ways[dim], tiles[dim == second :: 2])

    def _split(self, x: int, y: int, spread: dict[str, int]) -> dict[str, tuple[int, int]]:
        """Places along both axes of an axis' dimensions, which may have loops over them."""
        for found in _splits(x, y, list(spread.values())):
            split = dict(zip(spread, found, strict=True))
            if all(self._may_spread(dim, *places) for dim, places in split.items()):
                return split
        raise AssertionError((x, y, spread))

    def _may_spread(self, dim: str, *places: int) -> bool:
        own = zip(self.along.values(), places, strict=False)
        return all(count == 1 or dim in dims for dims, count in own)

    def _chain(self, dim: str, way: list[int], tiles: list[int]) -> None:
        """Tiles of one dimension from the MACs outwards, each no smaller than those within."""
        inside = 1
        for slot in range(len(self.structure.inner), 0, -1):
            inside = self._raise(dim, way[PADS + slot - 1], inside)
            self.within[slot][dim] = inside
        chunk = self._raise(dim, way[CHUNK], inside)
        self.within[0][dim] = chunk
        places = self.places[dim]
        full = min(chunk * places[0] * places[1], self.layer.bounds[dim])
        inside = full if self.raised else min(full, max(tiles[len(self.structure.outer)], chunk))
        self.above[-1][dim] = inside
        for slot in range(len(self.structure.outer), 0, -1):
            tile = tiles[slot]
            inside = self._raise(dim, tile, inside)
            self.above[slot - 1][dim] = inside

    def _raise(self, dim: str, tile: int, inside: int) -> int:
        if self.raised:
            tile = -(-tile // inside) * inside
        return min(max(tile, inside), self.layer.bounds[dim])

    def slides(self) -> Iterator[list[str]]:
        """For each of the ifmap's stores, the loops before it that may be put last; "" for none."""
        structure, outer = self.structure, [dict(self.layer.bounds), *self.above]
        for stores, tiles in ((structure.outer, outer), (structure.inner, self.within)):
            for kept, before, after in zip(stores, tiles, tiles[1:], strict=False):
                if kept.tensor == "ifmap":
                    loops = [dim for dim in DIMS if after[dim] < before[dim]]
                    yield [*(dim for dim in loops[:-1] if dim in "PQRS"), ""]

    def nodes(self, slides: tuple[str, ...]) -> Iterator[Node]:
        """The nest with the loops over `slides` last before each of the ifmap's stores."""
        structure, levels = self.structure, [level.level for level in self.machine.levels]
        ways = iter(slides)
        now = dict(self.layer.bounds)
        yield Store(levels[0], self.layer.tensors)
        for k, tiles in enumerate(self.above):
            kept = structure.outer[k] if k < len(structure.outer) else None
            yield from _loops(now, tiles, next(ways) if kept and kept.tensor == "ifmap" else "")
            if kept and k != structure.risen:
                yield Store(levels[kept.level], (kept.tensor,))
        yield from self._spread(now)
        if structure.risen is not None:
            kept = structure.outer[structure.risen]
            yield Store(levels[kept.level], (kept.tensor,))
        for j, kept in enumerate(structure.inner):
            slide = next(ways) if kept.tensor == "ifmap" else ""
            yield from _loops(now, self.within[j + 1], slide)
            yield Store(levels[kept.level], (kept.tensor,))
        yield from _loops(now, dict.fromkeys(DIMS, 1), "")

    def _spread(self, now: Tiles) -> Iterator[Node]:
        for dim in DIMS:
            chunk, places = self.within[0][dim], self.places[dim]
            tiles = (chunk * places[1], chunk)
            for axis, tile, count in zip(self.along, tiles, places, strict=False):
                if count > 1 and tile < now[dim]:
                    yield Loop(dim, tile, axis)
                    now[dim] = tile


def _loops(now: Tiles, tiles: Tiles, last: str) -> Iterator[Loop]:
    for dim in sorted(DIMS, key=lambda dim: dim == last):
        if tiles[dim] < now[dim]:
            yield Loop(dim, tiles[dim])
            now[dim] = tiles[dim]


def _splits(x: int, y: int, places: list[int]) -> Iterator[list[tuple[int, int]]]:
    """Places along both axes of one or two dimensions that have so many each."""
    if len(places) == 1:
        yield [(x, y)]
        return
    for a in range(1, x + 1):
        if x % a == 0 and places[0] % a == 0 and y % (places[0] // a) == 0:
            b = places[0] // a
            if (x // a) * (y // b) == places[1]:
                yield [(a, b), (x // a, y // b)]
