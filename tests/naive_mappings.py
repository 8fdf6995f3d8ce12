"""Every valid mapping of the tiniest layers with nothing left out, to judge `tests.exhaustive` by.

All sequences of up to so many loops with any tile and axis, loops of one trip too; any store of any
tensor at any depth or none, in any order where several share a depth. `validate` says which of them
a machine can run.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations, product

from hwsim.errors import MappingError
from hwsim.hardware import Accelerator
from hwsim.mapping import Loop, Mapping, Node, Store, validate
from hwsim.workload import Layer


def naive_mappings(layer: Layer, machine: Accelerator, *, most: int) -> Iterator[Mapping]:
    """Those of at most so many loops."""
    for loops in _nests(layer, machine, most):
        for nodes in _with_stores(layer, machine, loops):
            mapping = Mapping(tuple(nodes))
            try:
                validate(mapping, layer, machine)
            except MappingError:
                continue
            yield mapping


def work(layer: Layer, machine: Accelerator, *, most: int) -> int:
    """How many would be looked at if stores at one depth had one order."""
    keeps = len(_keeps(layer, machine))
    return sum((len(loops) + 2) ** keeps for loops in _nests(layer, machine, most))


def longest(layer: Layer) -> int:
    """Loops of a nest in which every one takes off as little as it can."""
    return sum(bound - 1 for bound in layer.bounds.values())


def _nests(layer: Layer, machine: Accelerator, most: int) -> Iterator[tuple[Loop, ...]]:
    axes = (None, *(axis for array in machine.arrays for axis in array.axes))
    dims = {dim: bound for dim, bound in layer.bounds.items() if bound > 1}
    steps = [
        Loop(dim, tile, axis)
        for dim, bound in dims.items()
        for tile in range(1, bound + 1)
        for axis in axes
    ]
    for count in range(most + 1):
        for loops in product(steps, repeat=count):
            if all(_falls([loop.tile for loop in loops if loop.dim == dim]) for dim in dims):
                yield loops


def _falls(tiles: Sequence[int]) -> bool:
    return bool(tiles) and tiles[-1] == 1 and list(tiles) == sorted(tiles, reverse=True)


def _keeps(layer: Layer, machine: Accelerator) -> list[tuple[str, str]]:
    return [
        (level.level, tensor)
        for level in machine.levels[1:]
        for tensor in layer.tensors
        if level.memory(tensor)
    ]


def _with_stores(
    layer: Layer, machine: Accelerator, loops: tuple[Loop, ...]
) -> Iterator[tuple[Node, ...]]:
    keeps = _keeps(layer, machine)
    for depths in product((None, *range(len(loops) + 1)), repeat=len(keeps)):
        placed = list(zip(keeps, depths, strict=True))
        gaps = [
            permutations([Store(level, (tensor,)) for (level, tensor), at in placed if at == depth])
            for depth in range(len(loops) + 1)
        ]
        for orders in product(*gaps):
            nodes: list[Node] = [Store(machine.levels[0].level, layer.tensors)]
            for depth, stores in enumerate(orders):
                nodes += [*stores, *loops[depth : depth + 1]]
            yield tuple(nodes)
