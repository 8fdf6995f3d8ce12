"""What a user asks of a mapping beyond its being valid, and whether a mapping obeys."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field

from hwsim.config import Config, load
from hwsim.dataflow_rules import RULES, Dataflow, Rule, is_kept, pads, returning, scope
from hwsim.errors import ConfigError, UnknownNameError
from hwsim.hardware import Accelerator, TensorName
from hwsim.mapping import Loop, Mapping
from hwsim.workload import RELEVANT, TENSORS, Layer

Dim = Literal["N", "G", "K", "C", "P", "Q", "R", "S"]
Tensors = tuple[TensorName, ...]
Tile = Annotated[int, Field(ge=1)]


class Constraints(Config):
    """What mappings may look like; nothing is asked of what is not named.

    `dataflow`: as `hwsim.dataflow_rules` defines it. `bypass`, `keep`: by level, tensors that are
    not kept there, or are. `spatial`: by axis, the dimensions that loops over it may step through;
    none, if the list is empty. `tiles`: by level and dimension, the most that the tile of any
    tensor kept there spans of it; tensors that do not have the dimension are free. Tensors that a
    layer lacks are passed over.
    """

    dataflow: Dataflow | None = None
    bypass: dict[str, Tensors] = Field(default_factory=dict)
    keep: dict[str, Tensors] = Field(default_factory=dict)
    spatial: dict[str, tuple[Dim, ...]] = Field(default_factory=dict)
    tiles: dict[str, dict[Dim, Tile]] = Field(default_factory=dict)


FREE = Constraints()


def load_constraints(path: Path, machine: Accelerator) -> Constraints:
    """The constraints in a YAML file, checked against a machine. Raises InputError."""
    found = load(path, Constraints)
    check(found, machine, file=path)
    return found


def check(constraints: Constraints, machine: Accelerator, *, file: object = "constraints") -> None:
    """Raises ConfigError on what no mapping of any layer could obey on this machine."""
    fault = next(_faults(constraints, machine), None)
    if fault:
        key, value, reason = fault
        raise ConfigError(file=file, key=key, value=value, reason=reason)


Fault = tuple[str, object, str]


def _faults(constraints: Constraints, machine: Accelerator) -> Iterator[Fault]:
    """(key, value, reason); each check relies on those before it having found nothing."""
    levels = [level.level for level in machine.levels]
    axes = [axis for array in machine.arrays for axis in array.axes]
    yield from _unknown("bypass", "level", constraints.bypass.items(), levels)
    yield from _unknown("keep", "level", constraints.keep.items(), levels)
    yield from _unknown("tiles", "level", constraints.tiles.items(), levels)
    yield from _unknown("spatial", "axis", constraints.spatial.items(), axes)
    for level, tensor in _pairs(constraints.bypass):
        if _forced(machine, level, tensor):
            yield f"bypass.{level}", tensor, f"may not bypass {level} of {machine.name}"
        if tensor in constraints.keep.get(level, ()):
            yield f"bypass.{level}", tensor, "is also to be kept there"
    for level, tensor in _pairs(constraints.keep):
        if machine.level(level).memory(tensor) is None:
            yield f"keep.{level}", tensor, f"{level} of {machine.name} cannot keep it"
    outermost = machine.levels[0].level
    if outermost in constraints.tiles:
        yield f"tiles.{outermost}", constraints.tiles[outermost], "keeps every tensor whole"
    yield from _dataflow_faults(constraints.dataflow, machine)


def _dataflow_faults(dataflow: Dataflow | None, machine: Accelerator) -> Iterator[Fault]:
    tensor = next(iter(RULES[dataflow].returns), "") if dataflow else ""
    if tensor and not any(machine.level(name).memory(tensor) for name in pads(machine)):
        yield "dataflow", dataflow, f"the PEs of {machine.name} cannot keep any {tensor}"


def narrowed(constraints: Constraints, machine: Accelerator) -> Constraints:
    """The same constraints, with what the dataflow asks for among them as far as they can say."""
    if constraints.dataflow is None:
        return constraints
    rule, given = RULES[constraints.dataflow], constraints
    axes = [axis for array in machine.arrays for axis in array.axes]
    single: dict[Dim, int] = {dim: 1 for dim in get_args(Dim) if dim in rule.single}
    bare = {level: tuple(_free(machine, level)) if rule.bare else () for level in pads(machine)}
    bypass = {level: (*given.bypass.get(level, ()), *out) for level, out in bare.items()}
    tiles = {level: {**given.tiles.get(level, {}), **single} for level in bare}
    shared = {
        axis: tuple(d for d in given.spatial.get(axis, get_args(Dim)) if d not in rule.apart)
        for axis in axes
    }
    return given.model_copy(
        update={
            "bypass": {**given.bypass, **bypass},
            "tiles": {**given.tiles, **tiles},
            "spatial": shared,
        }
    )


def _free(machine: Accelerator, level: str) -> Iterator[str]:
    """Tensors that may bypass a level."""
    return (t for t in TENSORS if not _forced(machine, level, t))


def _pairs(named: dict[str, Tensors]) -> Iterator[tuple[str, str]]:
    """Every (level, tensor)."""
    for level, tensors in named.items():
        for tensor in tensors:
            yield level, tensor


def _unknown(
    key: str, kind: str, named: Iterable[tuple[str, object]], known: list[str]
) -> Iterator[Fault]:
    for name, value in named:
        if name not in known:
            reason = UnknownNameError(kind=kind, name=name, known=known)
            yield f"{key}.{name}", value, str(reason)


def _forced(machine: Accelerator, level: str, tensor: str) -> bool:
    memory = machine.level(level).memory(tensor)
    return memory is not None and (level == machine.home(tensor) or not memory.bypass)


def admits(constraints: Constraints, mapping: Mapping, layer: Layer, machine: Accelerator) -> bool:
    """Whether a valid mapping obeys constraints that passed `check`."""
    return constraints == FREE or breach(constraints, mapping, layer, machine) is None


def breach(
    constraints: Constraints, mapping: Mapping, layer: Layer, machine: Accelerator
) -> str | None:
    """The first constraint that a valid mapping breaks, and how; None where it obeys all.

    The definition of what each constraint means; see `Constraints` and `hwsim.dataflow_rules`.
    """
    return next(_breaches(constraints, mapping, layer, machine), None)


def _breaches(
    constraints: Constraints, mapping: Mapping, layer: Layer, machine: Accelerator
) -> Iterator[str]:
    kept = {(level, tensor) for tensor in layer.tensors for level, _ in mapping.stores(tensor)}
    for level, tensor in _pairs(constraints.bypass):
        if (level, tensor) in kept:
            yield f"bypass.{level}: {tensor} is kept there"
    for level, tensor in _pairs(constraints.keep):
        if tensor in layer.tensors and (level, tensor) not in kept:
            yield f"keep.{level}: {tensor} bypasses it"
    for loop in _moving(mapping, layer):
        if loop and loop.axis and loop.dim not in constraints.spatial.get(loop.axis, loop.dim):
            yield f"spatial.{loop.axis}: {loop.dim} is spread over it"
    yield from _large_tiles(constraints, mapping, layer)
    if constraints.dataflow and layer.weighted:
        for fault in _dataflow_breaches(constraints.dataflow, mapping, layer, machine):
            yield f"dataflow: not {constraints.dataflow}: {fault}"


def _large_tiles(constraints: Constraints, mapping: Mapping, layer: Layer) -> Iterator[str]:
    for tensor in layer.tensors:
        for level, before in mapping.stores(tensor)[1:]:
            tile = mapping.tile(layer, before)
            for dim, most in constraints.tiles.get(level, {}).items():
                if dim in RELEVANT[tensor] and tile[dim] > most:
                    yield f"tiles.{level}.{dim}: {tensor}'s tile is {tile[dim]}, more than {most}"


def _moving(mapping: Mapping, layer: Layer) -> list[Loop | None]:
    """The loops by position, None where one makes a single trip."""
    trips = mapping.trips(layer)
    return [loop if n > 1 else None for loop, n in zip(mapping.loops, trips, strict=True)]


def _dataflow_breaches(
    dataflow: Dataflow, mapping: Mapping, layer: Layer, machine: Accelerator
) -> Iterator[str]:
    """Why a nest is not of the dataflow."""
    rule, inside = RULES[dataflow], pads(machine)
    for tensor in TENSORS:
        held = any(level in inside for level, _ in mapping.stores(tensor))
        if is_kept(rule, machine, tensor) and not held:
            yield f"no PE keeps {tensor}"
    yield from _breaches(
        narrowed(Constraints(dataflow=dataflow), machine).model_copy(update={"dataflow": None}),
        mapping,
        layer,
        machine,
    )
    for tensor, dims in rule.returns.items():
        for around, dim in returning(tensor, dims, _steps(rule, tensor, mapping, layer, machine)):
            yield f"{tensor} returns to a PE, as {around} goes around {dim}"


def _steps(
    rule: Rule, tensor: str, mapping: Mapping, layer: Layer, machine: Accelerator
) -> list[str]:
    """Dimensions of the loops in time that may make a tensor return."""
    stores = sorted(
        (before, machine.depth(level), t, level)
        for t in TENSORS
        for level, before in mapping.stores(t)[1:]
    )
    slots = scope(rule, machine, tensor, [(t, level) for *_, t, level in stores])
    if not slots:
        return []
    first = stores[slots.start - 1][0] if slots.start else 0
    loops = _moving(mapping, layer)[first : stores[slots.stop - 1][0]]
    return [loop.dim for loop in loops if loop and not loop.axis]
