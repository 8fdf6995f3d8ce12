"""Points of a space, evaluated: what a worker does, in this process or on another machine."""

import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from hwsim._content import code_digest
from hwsim.area import area, on_chip_bits
from hwsim.cost import COMPONENTS, fused_cost
from hwsim.errors import InputError
from hwsim.explore.costs import Costs, Spent
from hwsim.explore.fields import Content, Setting, Value, machine_with
from hwsim.explore.space import SETTINGS, Space, machine_fields
from hwsim.explore.workloads import Workload, Workloads
from hwsim.hardware import Accelerator
from hwsim.workload import Layer

# What became of a point: measured, outside the constraints, or one that cannot be built or run.
OK, EXCLUDED, INFEASIBLE = "ok", "excluded", "infeasible"
# How complaints begin here, where layers have no names.
NAMELESS = "layer '': "
# Modules that decide a row beside those that decide a mapping's cost.
DECISIVE = (
    "area",
    "explore.costs",
    "explore.evaluate",
    "explore.fields",
    "explore.offers",
    "explore.shape",
    "explore.terms",
    "explore.workloads",
    "search.words",
)

Row = dict[str, Value | None]
Chosen = Mapping[str, Value]


@cache
def code() -> str:
    """SHA-256 of all code that decides a row."""
    found = sha256(code_digest().encode())
    for name in DECISIVE:
        *folders, module = name.split(".")
        found.update(files("hwsim").joinpath(*folders, f"{module}.py").read_bytes())
    return found.hexdigest()


@dataclass(frozen=True)
class Point:
    """A combination of values, by parameter, and the key that it is stored under."""

    key: str
    chosen: Chosen


@dataclass(frozen=True)
class Task:
    """What all points of a space share. `contents`: machines' files by name; `code`: what they are
    to be evaluated by."""

    space: Space
    contents: Mapping[str, Content]
    workloads: Workloads
    code: str = field(default_factory=code)

    def to_bytes(self) -> bytes:
        """As it is sent to workers."""
        return pickle.dumps(self)


def evaluate(task: bytes, points: Sequence[Point]) -> list[Row]:
    """A row for each point, in order, of the task that `Task.to_bytes` made.

    Raises InputError where it was made by another version of the code than this worker's.
    """
    known = received(task)
    return [_row(known, point) for point in points]


@lru_cache(maxsize=4)
def received(task: bytes) -> Task:
    """The task that `Task.to_bytes` made. Raises InputError as `evaluate` does."""
    found: Task = pickle.loads(task)
    if found.code != code():
        raise InputError("a worker of the cluster runs another version of hwsim: install this one")
    return found


def _row(task: Task, point: Point) -> Row:
    settings = task.space.settings(point.chosen)
    row: Row = {"key": point.key, "status": OK, "reason": None}
    row |= {name: getattr(task.space, name, None) for name in SETTINGS}
    row |= {name: str(settings[name]) for name in ("machine", "network") if name in settings}
    row |= {name: int(str(settings[name])) for name in ("batch", "bits") if name in settings}
    row |= point.chosen
    try:
        machine = built(task, settings, row)
        sizes = {"area_mm2": area(machine).core_mm2, "on_chip_bits": float(on_chip_bits(machine))}
        row |= sizes
        for measure, limits in task.space.constraints.items():
            if measure in sizes and not limits.admit(sizes[measure]):
                return row | {"status": EXCLUDED, "reason": measure}
        return row | _measured(task, settings, machine)
    except InputError as error:
        reason = str(error).removeprefix(NAMELESS)
        return row | {"status": INFEASIBLE, "reason": reason}


def built(task: Task, settings: Mapping[str, Setting], row: Row) -> Accelerator:
    """The machine that a point asks for; a capacity that fills an area is noted in its row. Raises
    InputError."""
    space = task.space
    content = task.contents[str(settings.get("machine", space.machine))]
    fields = machine_fields(settings)
    if space.fill:
        fields[space.fill.field] = row[space.fill.field] = _filled_bits(space, content, fields)
    return machine_with(content, fields, file="machine")


def _filled_bits(space: Space, content: Content, fields: Mapping[str, Setting]) -> int:
    """The most whole steps of a capacity that an area has room for. Raises InputError."""
    fill = space.fill
    assert fill is not None

    def room(steps: int) -> float:
        sized = {**fields, fill.field: steps * fill.step_bits}
        return fill.area_mm2 - area(machine_with(content, sized, file="machine")).core_mm2

    low, high = 0, 1
    while room(high) >= 0:
        low, high = high, 4 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if room(middle) >= 0 else (low, middle)
    if not low:
        raise InputError(f"{fill.area_mm2} mm2 leave nothing for {fill.field}")
    return low * fill.step_bits


def ran(task: Task, settings: Mapping[str, Setting], machine: Accelerator) -> "Ran":
    """The workload that a point asks for, as a machine runs it."""
    space = task.space
    batch = int(str(settings.get("batch", space.batch)))
    network = str(settings.get("network", space.network))
    plan = settings.get("plan")
    workload = task.workloads[(network, batch) if plan is None else (str(plan), 0)]
    bits = settings.get("bits", space.bits)
    if bits is None and plan is None:
        bits = min(machine.mac.ifmap_bits, machine.mac.weight_bits)
    layers = workload.on(machine, bits=None if bits is None else int(str(bits)))
    return Ran(network if plan is None else str(plan), workload, tuple(layers))


class Ran(NamedTuple):
    """A workload, its name, and its layers on a machine, each with whether it rides on another."""

    name: str
    workload: Workload
    layers: tuple[tuple[Layer, bool], ...]


def _measured(task: Task, settings: Mapping[str, Setting], machine: Accelerator) -> Row:
    """Energy, cycles and traffic of a network, and what follows from them. Raises InputError."""
    asked, costs = ran(task, settings, machine), Costs(task.space, machine)
    energy, cycles, dram_bits = dict.fromkeys(COMPONENTS, 0.0), 0, 0
    for (layer, riding), times in Counter(asked.layers).items():
        cost = Spent.by(fused_cost(layer, machine)) if riding else costs.of(layer)
        for component, pj in cost.energy_by_component_pj.items():
            energy[component] += times * pj
        cycles += times * cost.cycles
        dram_bits += times * cost.dram_bits
    total_pj, seconds = sum(energy.values()), cycles / machine.clock_mhz / 1e6
    row: Row = {
        "energy_pj": total_pj,
        "latency_ms": 1e3 * seconds,
        "edp_js": total_pj * 1e-12 * seconds,
        "cycles": cycles,
        "dram_bits": dram_bits,
        "accuracy": asked.workload.accuracy,
    }
    return row | {f"{component}_pj": pj for component, pj in energy.items()}
