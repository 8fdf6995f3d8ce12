"""What a user asks of a mapping beyond its being valid, and whether a mapping obeys.

Of the loops of a nest, those after the first store between DRAM and the arrays belong to a *pass*:
one execution of them works on what the buffers then hold. All loops do where there is no such
store. *In a PE* is below the outermost array. Loops of one trip do not count. In these words a
dataflow (Chen, Emer and Sze, ISCA 2016, Sec. IV; input stationary: Parashar et al., ISCA 2017,
Sec. III) is what the nests of its file in `hwsim/dataflows/` have in common:

- weight stationary: PEs keep weights, and none comes twice into the same PE within a pass: among
  the loops in time of a pass that lie outside the PE's weights, none over what weights do not have
  (N, P, Q) goes around one over what they have.
- input stationary: the same of the ifmap, which only K does not step through.
- output stationary: PEs keep psums, which leave a PE finished, but for what other PEs add: the same
  of psums, not within a pass but in the whole nest, where C, R and S do not step through them.
- no local reuse: PEs keep only what may not bypass their pads, and of that one word a tensor.
- row stationary: PEs keep every tensor for which they have a memory; each works on one filter row
  and one ofmap row (R and P are 1 in its tiles), holds filter rows whole (S is), and keeps its
  weights while it slides along an ofmap row: PEs do not share Q, and no loop over Q lies both
  within the pass and outside the PE's weights.

How large a pass is no dataflow says: in a small one little passes by what is stationary. Nor does
it say anything of a layer without weights.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from hwsim.config import Config, load
from hwsim.dataflows._parts import inner_levels, outer_levels
from hwsim.errors import ConfigError, UnknownNameError
from hwsim.hardware import Accelerator, TensorName
from hwsim.mapping import Loop, Mapping, tile_words
from hwsim.workload import RELEVANT, TENSORS, Layer

Dim = Literal["N", "G", "K", "C", "P", "Q", "R", "S"]
Dataflow = Literal[
    "row_stationary",
    "weight_stationary",
    "output_stationary",
    "input_stationary",
    "no_local_reuse",
]
Tensors = tuple[TensorName, ...]
Tile = Annotated[int, Field(ge=1)]

STATIONARY: dict[Dataflow, str] = {
    "row_stationary": "weight",
    "weight_stationary": "weight",
    "input_stationary": "ifmap",
    "output_stationary": "ofmap",
}


class Constraints(Config):
    """What mappings may look like; nothing is asked of what is not named.

    `dataflow`: as the head of this file defines it. `bypass`, `keep`: by level, tensors that are
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
    if dataflow in STATIONARY:
        tensor = STATIONARY[dataflow]
        if not any(level.memory(tensor) for level in inner_levels(machine)):
            yield "dataflow", dataflow, f"the PEs of {machine.name} cannot keep any {tensor}"


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

    The definition of what each constraint means; see `Constraints` and the head of this file.
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
        fault = _nest_fault(constraints.dataflow, mapping, layer, machine)
        if fault:
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


def _nest_fault(
    dataflow: Dataflow, mapping: Mapping, layer: Layer, machine: Accelerator
) -> str | None:
    """Why the nest is not of the dataflow."""
    if dataflow == "no_local_reuse":
        return _reuse_fault(mapping, layer, machine)
    entries = _entries(mapping, machine)
    if dataflow == "row_stationary":
        return _row_fault(entries, mapping, layer, machine)
    tensor = STATIONARY[dataflow]
    if tensor not in entries:
        return f"no PE keeps {tensor}"
    first = 0 if dataflow == "output_stationary" else _pass_start(mapping, machine)
    return _return_fault(tensor, _moving(mapping, layer)[first : entries[tensor]])


def _entries(mapping: Mapping, machine: Accelerator) -> dict[str, int]:
    """By tensor that PEs keep, the loops before its outermost store in them."""
    pads = [level.level for level in inner_levels(machine)]
    found = {
        tensor: [before for level, before in mapping.stores(tensor) if level in pads]
        for tensor in TENSORS
    }
    return {tensor: places[0] for tensor, places in found.items() if places}


def _pass_start(mapping: Mapping, machine: Accelerator) -> int:
    """The loops before a pass."""
    buffers = [level.level for level in outer_levels(machine)]
    stores = (store for tensor in TENSORS for store in mapping.stores(tensor)[1:])
    return min((before for level, before in stores if level in buffers), default=0)


def _return_fault(tensor: str, loops: Sequence[Loop | None]) -> str | None:
    """Whether words of a tensor leave a PE and return, stepped through by these loops around it."""
    around = ""
    for loop in loops:
        if loop and not loop.axis:
            if loop.dim not in RELEVANT[tensor]:
                around = loop.dim
            elif around:
                return f"{tensor} returns to a PE, as {around} goes around {loop.dim}"
    return None


def _reuse_fault(mapping: Mapping, layer: Layer, machine: Accelerator) -> str | None:
    for level in inner_levels(machine):
        for tensor in layer.tensors:
            for name, before in mapping.stores(tensor):
                if name != level.level:
                    continue
                if not _forced(machine, name, tensor):
                    return f"{name} keeps {tensor}"
                words = tile_words(layer, tensor, mapping.tile(layer, before))
                if words > (layer.operands if tensor == "ifmap" else 1):
                    return f"{name} keeps {words} words of {tensor}"
    return None


def _row_fault(
    entries: dict[str, int], mapping: Mapping, layer: Layer, machine: Accelerator
) -> str | None:
    for tensor in layer.tensors:
        padded = any(level.memory(tensor) for level in inner_levels(machine))
        if padded and tensor not in entries:
            return f"no PE keeps {tensor}"
    in_pe = mapping.tile(layer, min(entries.values()))
    for dim in ("R", "P"):
        if in_pe[dim] > 1:
            return f"a PE works on {in_pe[dim]} of {dim}"
    for tensor, entry in entries.items():
        if tensor != "ofmap" and mapping.tile(layer, entry)["S"] < layer.S:
            return f"a PE keeps parts of the filter rows of {tensor}"
    return _slide_fault(entries["weight"], mapping, layer, machine)


def _slide_fault(entry: int, mapping: Mapping, layer: Layer, machine: Accelerator) -> str | None:
    """Whether weights leave a PE within an ofmap row, or PEs share one."""
    moving, start = _moving(mapping, layer), _pass_start(mapping, machine)
    for place, loop in enumerate(moving):
        if loop and loop.dim == "Q" and loop.axis:
            return "PEs share an ofmap row"
        if loop and loop.dim == "Q" and start <= place < entry:
            return "weights do not stay while a PE slides along Q"
    return None
