"""Every valid mapping of a tiny layer, one by one: slow, short, and the judge of `hwsim.mapper`.

All chains of strictly falling tiles of every dimension, each loop in time or on an axis, in every
order, with every tensor's stores at every depth and every optional store left out or not.
"""

from collections.abc import Iterator
from itertools import pairwise, product

from hwsim.cost import cost
from hwsim.errors import MappingError
from hwsim.hardware import Accelerator
from hwsim.mapping import Loop, Mapping, Node, Store, validate
from hwsim.workload import Layer

Chain = tuple[Loop, ...]

# By objective, the powers of energy and of cycles in it.
OBJECTIVES = {"energy": (1, 0), "cycles": (0, 1), "edp": (1, 1), "ed2p": (1, 2)}


def mappings(layer: Layer, machine: Accelerator) -> Iterator[Mapping]:
    """Every valid mapping."""
    axes = (None, *(axis for array in machine.arrays for axis in array.axes))
    dims = [dim for dim, bound in layer.bounds.items() if bound > 1]
    chains = [list(_chains(dim, layer.bounds[dim], axes)) for dim in dims]
    for choice in product(*chains):
        for loops in _shuffles(choice):
            for mapping in _stored(layer, machine, loops):
                try:
                    validate(mapping, layer, machine)
                except MappingError:
                    continue
                yield mapping


def least(
    layer: Layer, machine: Accelerator, objectives: tuple[str, ...] = tuple(OBJECTIVES)
) -> dict[str, tuple[float, Mapping]]:
    """By objective, its least value over all valid mappings and a mapping that has it.

    Raises MappingError where no mapping is valid.
    """
    found: dict[str, tuple[float, Mapping]] = {}
    for mapping in mappings(layer, machine):
        price = cost(layer, mapping, machine)
        for name in objectives:
            value = price.energy_pj ** OBJECTIVES[name][0] * price.cycles ** OBJECTIVES[name][1]
            if name not in found or value < found[name][0]:
                found[name] = value, mapping
    if not found:
        raise MappingError(f"layer {layer.name!r}: no mapping is valid")
    return found


def _chains(dim: str, bound: int, axes: tuple[str | None, ...]) -> Iterator[Chain]:
    """Every way from a bound down to 1."""
    if bound == 1:
        yield ()
    for tile, axis in product(range(1, bound), axes):
        for rest in _chains(dim, tile, axes):
            yield (Loop(dim, tile, axis), *rest)


def _shuffles(chains: tuple[Chain, ...]) -> Iterator[Chain]:
    """Every interleaving of the chains."""
    if not any(chains):
        yield ()
    for i, chain in enumerate(chains):
        if chain:
            for rest in _shuffles((*chains[:i], chain[1:], *chains[i + 1 :])):
                yield (chain[0], *rest)


def _stored(layer: Layer, machine: Accelerator, loops: Chain) -> Iterator[Mapping]:
    """Every placing of the stores among the loops."""
    keeps = [
        (level.level, tensor, memory.bypass)
        for level in machine.levels[1:]
        for tensor in layer.tensors
        if (memory := level.memory(tensor))
    ]
    depths = [[*range(len(loops) + 1), *([None] if bypass else [])] for _, _, bypass in keeps]
    names = [level.level for level in machine.levels]
    for places in product(*depths):
        stores = [(keep[0], keep[1], at) for keep, at in zip(keeps, places, strict=True)]
        if _nested(stores, names):
            yield _woven(layer, machine, loops, stores)


def _nested(stores: list[tuple[str, str, int | None]], names: list[str]) -> bool:
    """Whether each tensor's inner stores come no earlier than its outer ones."""
    for tensor in {tensor for _, tensor, _ in stores}:
        own = ((level, at) for level, kept, at in stores if kept == tensor)
        depths = [(names.index(level), at) for level, at in own if at is not None]
        if any(b[1] < a[1] for a, b in pairwise(sorted(depths))):
            return False
    return True


def _woven(
    layer: Layer, machine: Accelerator, loops: Chain, stores: list[tuple[str, str, int | None]]
) -> Mapping:
    nodes: list[Node] = [Store(machine.levels[0].level, layer.tensors)]
    for before in range(len(loops) + 1):
        for level in machine.levels[1:]:
            kept = tuple(t for name, t, at in stores if at == before and name == level.level)
            nodes += [Store(level.level, kept)] if kept else []
        nodes += loops[before : before + 1]
    return Mapping(tuple(nodes))
