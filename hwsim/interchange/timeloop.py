"""Timeloop's form of a mapping: storage targets, outermost first, with factors and permutations.

Each target has up to three records: `bypass` names the tensors it keeps, `temporal` the loops
between it and the next target inwards, `spatial` those of them that run over an array. A factor
says in how many steps a loop goes, a permutation which loop is innermost (it comes first), and
`split` how many loops of the permutation run along the array's first axis. The letters are this
project's, but for M, which is K; P and R share a stride, and so do Q and S.

A level whose tensors have memories of their own, kept at different loops, becomes a target per
store, LEVEL_TENSOR, in the mapping's order: an architecture for it lists these pads so.

What the form cannot say, and `export` refuses:

- tiles that do not divide what they step through;
- tensors of one memory kept at different loops;
- a dimension twice between two stores, in time or along two axes: there is one factor for it;
- a spatial loop outside a temporal one of its own dimension with no store between them.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Any

from hwsim.errors import MappingError
from hwsim.hardware import Accelerator, MemoryLevel
from hwsim.mapping import Loop, Mapping, Node, Store
from hwsim.workload import DIMS, Layer

TENSORS = {"ifmap": "Inputs", "weight": "Weights", "ofmap": "Outputs"}
LETTERS = {dim: "M" if dim == "K" else dim for dim in DIMS}

Record = dict[str, Any]


@dataclass
class Target:
    """A store, and the loops between it and the next, outermost first, as (loop, factor)."""

    level: str
    tensors: list[str]
    temporal: list[tuple[Loop, int]] = field(default_factory=list)
    spatial: list[tuple[Loop, int]] = field(default_factory=list)

    @property
    def loops(self) -> list[tuple[Loop, int]]:
        """All of them."""
        return [*self.temporal, *self.spatial]


def export(mapping: Mapping, layer: Layer, machine: Accelerator) -> list[Record]:
    """A valid mapping as Timeloop's records. Raises MappingError on what they cannot say."""
    targets = _targets(mapping, layer)
    names = _names(targets, machine)
    for target in targets:
        _refuse_twice(target)
    return [
        record
        for target, name in zip(targets, names, strict=True)
        for record in _records(target, name, layer, machine)
    ]


def _targets(mapping: Mapping, layer: Layer) -> list[Target]:
    """Stores with their loops; loops of one step are left out, stores of a level put together."""
    found: list[Target] = []
    extent = dict(layer.bounds)
    for node in mapping:
        if isinstance(node, Loop):
            factor, rest = divmod(extent[node.dim], node.tile)
            if rest:
                raise MappingError(f"{node}, of {extent[node.dim]}: Timeloop's form needs a factor")
            extent[node.dim] = node.tile
            if factor > 1:
                _add(found[-1], node, factor)
        elif found and found[-1].level == node.level and not found[-1].loops:
            found[-1].tensors += node.tensors
        else:
            found.append(Target(node.level, list(node.tensors)))
    return found


def _add(target: Target, loop: Loop, factor: int) -> None:
    """A loop inside those that a target has; spatial ones come after all temporal ones."""
    if loop.axis:
        target.spatial.append((loop, factor))
    elif any(spatial.dim == loop.dim for spatial, _ in target.spatial):
        raise MappingError(
            f"{loop}, inside its spatial loop: Timeloop's form needs a store between"
        )
    else:
        target.temporal.append((loop, factor))


def _refuse_twice(target: Target) -> None:
    for loops in (target.temporal, target.spatial):
        dims = [loop.dim for loop, _ in loops]
        twice = {dim for dim in dims if dims.count(dim) > 1}
        if twice:
            raise MappingError(
                f"{' '.join(sorted(twice))} twice below {target.level}: "
                "Timeloop's form has one factor for it"
            )


def _names(targets: Sequence[Target], machine: Accelerator) -> list[str]:
    """Each target's name: its level's, or of the store's own memory."""
    levels = [target.level for target in targets]
    return [
        _memory_name(target, machine) if levels.count(target.level) > 1 else target.level
        for target in targets
    ]


def _memory_name(target: Target, machine: Accelerator) -> str:
    """The name of a target among several of its level. Raises MappingError if they share one."""
    for tensor in target.tensors:
        memory = machine.level(target.level).memory(tensor)
        if memory is None or not set(memory.tensors) <= set(target.tensors):
            raise MappingError(
                f"{target.level} keeps {tensor} at other loops than what shares its memory: "
                "Timeloop's form keeps them at one"
            )
    return "_".join([target.level, *(tensor for tensor in TENSORS if tensor in target.tensors)])


def _records(target: Target, name: str, layer: Layer, machine: Accelerator) -> Iterator[Record]:
    kept = [TENSORS[tensor] for tensor in TENSORS if tensor in target.tensors]
    rest = [TENSORS[tensor] for tensor in layer.tensors if tensor not in target.tensors]
    yield {"target": name, "type": "bypass", "keep": kept, "bypass": rest}
    yield {"target": name, "type": "temporal"} | _factors(target.temporal)
    if target.spatial:
        axes = [axis for array in machine.arrays for axis in array.axes]
        own = sorted(target.spatial, key=lambda pair: -axes.index(pair[0].axis or ""))
        yield {"target": name, "type": "spatial"} | _factors(own) | {"split": _split(own, machine)}


def _factors(loops: Iterable[tuple[Loop, int]]) -> Record:
    """Factors and permutation, dimensions without a loop outermost."""
    factor = {loop.dim: count for loop, count in loops}
    order = [*reversed([loop.dim for loop, _ in loops]), *(d for d in DIMS if d not in factor)]
    return {
        "factors": " ".join(f"{LETTERS[dim]}={factor.get(dim, 1)}" for dim in DIMS),
        "permutation": "".join(LETTERS[dim] for dim in order),
    }


def _split(loops: Sequence[tuple[Loop, int]], machine: Accelerator) -> int:
    """How many of an array's loops run along its first axis. Raises MappingError."""
    array = next(array for array in machine.arrays if loops[0][0].axis in array.axes)
    if len(array.axes) > 2 or any(loop.axis not in array.axes for loop, _ in loops):
        raise MappingError(f"{machine.name}: Timeloop's form has one array of two axes at a level")
    return sum(loop.axis == next(iter(array.axes)) for loop, _ in loops)


def read(records: Sequence[MappingType[str, Any]], layer: Layer, machine: Accelerator) -> Mapping:
    """The mapping in Timeloop's records. Raises MappingError on factors that miss the bounds."""
    extent = dict(layer.bounds)
    nodes: list[Node] = []
    for record in sorted(records, key=_order(records)):
        if record["type"] == "bypass":
            nodes.append(_store(record, machine))
        else:
            nodes += _loops(record, extent, machine)
    left = {dim: size for dim, size in extent.items() if size > 1}
    if left:
        raise MappingError(f"layer {layer.name!r}: no factor goes through {left}")
    return Mapping(tuple(nodes))


def _order(records: Sequence[MappingType[str, Any]]) -> Any:
    """Sorts by target as first named, then what it keeps, its temporal and its spatial loops."""
    targets = list(dict.fromkeys(record["target"] for record in records))
    kinds = ["bypass", "temporal", "spatial"]
    return lambda record: (targets.index(record["target"]), kinds.index(record["type"]))


def _store(record: MappingType[str, Any], machine: Accelerator) -> Store:
    names = {name: tensor for tensor, name in TENSORS.items()}
    level = _level(record["target"], machine).level
    return Store(level, tuple(names[name] for name in record["keep"]))


def _level(target: str, machine: Accelerator) -> MemoryLevel:
    """The level that a target is, or has a memory of."""
    for level in machine.levels:
        rest = target.removeprefix(level.level)
        if not rest or (rest != target and set(rest.split("_")[1:]) <= set(TENSORS)):
            return level
    raise MappingError(f"{machine.name} has no level {target!r}")


def _loops(
    record: MappingType[str, Any], extent: dict[str, int], machine: Accelerator
) -> Iterator[Loop]:
    """A record's loops, outermost first; takes their factors off `extent`."""
    dims = {letter: dim for dim, letter in LETTERS.items()}
    factors = dict(item.split("=") for item in record["factors"].split())
    order = record["permutation"].replace(",", "").replace(" ", "")
    moving = [letter for letter in order if int(factors.get(letter, 1)) > 1]
    for place, letter in reversed(list(enumerate(moving))):
        dim, factor = dims[letter], int(factors[letter])
        if extent[dim] % factor:
            raise MappingError(
                f"{record['target']}: {letter}={factor} does not divide {extent[dim]}"
            )
        extent[dim] //= factor
        yield Loop(dim, extent[dim], _axis(record, place, machine))


def _axis(record: MappingType[str, Any], place: int, machine: Accelerator) -> str | None:
    """The axis of a loop at a place of the permutation, innermost first."""
    if record["type"] != "spatial":
        return None
    axes = list(_array_below(record["target"], machine))
    return axes[0] if place < record["split"] or len(axes) == 1 else axes[1]


def _array_below(target: str, machine: Accelerator) -> MappingType[str, int]:
    inside = machine.depth(_level(target, machine).level)
    arrays = (array for array in machine.arrays if machine.depth(next(iter(array.axes))) > inside)
    return next(arrays).axes
