"""Points of a space, evaluated: what a worker does, in this process or on another machine."""

import pickle
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from hwsim._content import code_digest
from hwsim.area import area, on_chip_bits
from hwsim.cost import COMPONENTS, Cost, arithmetic_pj, fused_cost
from hwsim.dataflow import check_operands, within_dataflow
from hwsim.errors import InputError, MappingError
from hwsim.explore.fields import Content, Setting, Value, machine_with
from hwsim.explore.offers import Known, Offers, cheapest, offers, priced, shape
from hwsim.explore.space import SETTINGS, Space, machine_fields
from hwsim.explore.workloads import Workloads
from hwsim.found import Question
from hwsim.hardware import Accelerator
from hwsim.objective import POWERS
from hwsim.simulate import ask
from hwsim.workload import Layer

# What became of a point: measured, outside the constraints, or one that cannot be built or run.
OK, EXCLUDED, INFEASIBLE = "ok", "excluded", "infeasible"
# How complaints begin here, where layers have no names.
NAMELESS = "layer '': "
# Mappings whose counts a worker keeps, some kB each.
MOST_MAPPINGS = 60_000

# Modules that decide a row beside those that decide a mapping's cost.
DECISIVE = (
    "area",
    "explore.evaluate",
    "explore.fields",
    "explore.offers",
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
    known = _task(task)
    return [_row(known, point) for point in points]


@lru_cache(maxsize=4)
def _task(task: bytes) -> Task:
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
        machine = _machine(task, settings, row)
        sizes = {"area_mm2": area(machine).core_mm2, "on_chip_bits": float(on_chip_bits(machine))}
        row |= sizes
        for measure, limits in task.space.constraints.items():
            if measure in sizes and not limits.admit(sizes[measure]):
                return row | {"status": EXCLUDED, "reason": measure}
        return row | _measured(task, settings, machine)
    except InputError as error:
        reason = str(error).removeprefix(NAMELESS)
        return row | {"status": INFEASIBLE, "reason": reason}


def _machine(task: Task, settings: Mapping[str, Setting], row: Row) -> Accelerator:
    """The machine that a point asks for; a capacity that fills an area is noted in its row."""
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


def _measured(task: Task, settings: Mapping[str, Setting], machine: Accelerator) -> Row:
    """Energy, cycles and traffic of a network, and what follows from them. Raises InputError."""
    space = task.space
    batch = int(str(settings.get("batch", space.batch)))
    network = str(settings.get("network", space.network))
    plan = settings.get("plan")
    workload = task.workloads[(network, batch) if plan is None else (str(plan), 0)]
    bits = settings.get("bits", space.bits)
    if bits is None and plan is None:
        bits = min(machine.mac.ifmap_bits, machine.mac.weight_bits)
    found = Counter(workload.on(machine, bits=None if bits is None else int(str(bits))))
    energy, cycles, dram_bits = dict.fromkeys(COMPONENTS, 0.0), 0, 0
    costs = _Costs(space, machine)
    for (layer, riding), times in found.items():
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
        "accuracy": workload.accuracy,
    }
    return row | {f"{component}_pj": pj for component, pj in energy.items()}


class Spent(NamedTuple):
    """What a layer costs: energy by component, cycles, and bits from and to DRAM."""

    energy_by_component_pj: dict[str, float]
    cycles: int
    dram_bits: int

    @staticmethod
    def by(cost: Cost) -> "Spent":
        """Of a cost, what a row needs."""
        return Spent(cost.energy_by_component_pj, cost.cycles, cost.dram_bits)


class _Costs:
    """What layers cost on one machine, under their best mappings."""

    def __init__(self, space: Space, machine: Accelerator) -> None:
        self._space, self._machine = space, machine
        self._shape, self._priced = shape(machine), priced(machine)
        control = machine.control
        leakage_pj = control.leakage_mw / machine.clock_mhz * 1e3
        self._cycle_pj = {"clock": control.clock_pj_per_cycle, "leakage": leakage_pj}

    def of(self, layer: Layer) -> "Spent":
        """Raises MappingError, InputError."""
        space, machine = self._space, self._machine
        question = Question(
            layer=layer, machine=machine, objective=space.objective, effort=space.effort
        )
        if space.effort:
            return Spent.by(ask(question).cost)
        if layer.weighted and machine.mac.zero_skipping:  # lanes wait for each other
            return Spent.by(within_dataflow(question).cost)
        check_operands(layer, machine)
        known = _KEPT.of(layer, self._shape, machine)
        if known is None:
            within_dataflow(question)  # says which memory is too small
            raise MappingError(f"{machine.name}: a layer fits no mapping")
        return self._cheapest(layer, known)

    def _cheapest(self, layer: Layer, known: Offers) -> "Spent":
        machine, prices = self._machine, self._priced
        mac_pj, cycle_pj = arithmetic_pj(layer, machine), sum(self._cycle_pj.values())
        powers = POWERS[self._space.objective]
        pick, cycles = cheapest(known, prices, fixed_pj=mac_pj, cycle_pj=cycle_pj, powers=powers)
        energy = dict.fromkeys(COMPONENTS, 0.0) | {"MAC": mac_pj}
        energy |= {name: pj * cycles for name, pj in self._cycle_pj.items()}
        spent = (known.bits[pick] * prices.pj).tolist()
        for component, pj in zip(prices.components, spent, strict=False):
            energy[component] += pj
        ways = known.bits[pick][: 2 * len(machine.levels[0].memories)].reshape(-1, 2)
        return Spent(energy, cycles, int(np.ceil(ways.sum(axis=0)).sum()))


class _Kept:
    """What shapes offer layers, counted once while there is room for it; the oldest give way."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Layer, str], Offers | None] = OrderedDict()
        self._mappings, self._terms = 0, Known()

    def of(self, layer: Layer, shape: str, machine: Accelerator) -> Offers | None:
        """What a machine of a shape offers."""
        asked = layer, shape
        if asked in self._known:
            self._known.move_to_end(asked)
            return self._known[asked]
        found = self._known[asked] = offers(layer, machine, self._terms)
        self._mappings += _count(found)
        while self._mappings > MOST_MAPPINGS and len(self._known) > 1:
            self._mappings -= _count(self._known.popitem(last=False)[1])
        return found


def _count(found: Offers | None) -> int:
    return len(found.compute) if found else 1


_KEPT = _Kept()
