"""What a layer costs: simulated, looked up in a table, or told by a function of the user's."""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Protocol, runtime_checkable

from hwsim._content import digest
from hwsim.cost import Cost as Simulated
from hwsim.cost import fused_cost
from hwsim.dataflow import accumulated
from hwsim.errors import InputError
from hwsim.found import Question
from hwsim.hardware import Accelerator
from hwsim.objective import Objective
from hwsim.simulate import ask, map_layers
from hwsim.workload import DIMS, Layer


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Energy and time of a layer for one batch; what else is known of it explains where they go.

    `components_pj` add up to the energy; `bound` names what is busy longest.
    """

    energy_pj: float
    latency_ms: float
    cycles: int | None = None
    components_pj: Mapping[str, float] = field(default_factory=dict)
    bound: str = ""
    dram_bits: int | None = None


@runtime_checkable
class LayerCosts(Protocol):
    """What each layer costs, the more so the larger: sums over layers are the network's.

    Raises InputError for a layer that cannot be run: the candidate is then dropped.
    """

    def __call__(self, layer: Layer) -> Cost: ...


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """A machine's costs, each layer under its own best mapping; see `hwsim.simulate.search`."""

    machine: Accelerator
    objective: Objective = "edp"
    effort: int = 0

    def __call__(self, layer: Layer) -> Cost:
        known = accumulated(layer, self.machine)
        question = Question(
            layer=known, machine=self.machine, objective=self.objective, effort=self.effort
        )
        return self._cost(ask(question).cost)

    def ahead(self, layers: Iterable[Layer], done: Callable[[int], None]) -> list[Cost]:
        """The costs of layers that are mapped at once, in as many processes as pay; `done` hears
        how many more are known. None of them where one cannot be run."""
        known = [accumulated(layer, self.machine) for layer in layers]
        numbered = [replace(layer, name=str(number)) for number, layer in enumerate(known)]
        try:
            found = map_layers(
                numbered,
                self.machine,
                objective=self.objective,
                effort=self.effort,
                done=lambda names: done(len([*names])),
            )
        except InputError:
            return []
        return [self._cost(found[layer.name].cost) for layer in numbered]

    def fused(self, layer: Layer) -> Cost:
        """A layer that rides on its producer's output."""
        return self._cost(fused_cost(accumulated(layer, self.machine), self.machine))

    @property
    def key(self) -> str:
        """What decides its costs, but for the layer."""
        return digest(self.machine) + f" {self.objective} {self.effort}"

    def _cost(self, found: Simulated) -> Cost:
        return Cost(
            energy_pj=found.energy_pj,
            latency_ms=found.cycles / (self.machine.clock_mhz * 1e3),
            cycles=found.cycles,
            components_pj=dict(found.energy_by_component_pj),
            bound=found.bound,
            dram_bits=found.dram_bits,
        )


# What a column of a table may be called, and what a layer says there.
COLUMNS: dict[str, Callable[[Layer], object]] = {
    "layer": lambda layer: layer.name,
    "op": lambda layer: str(layer.op),
    "primitive": lambda layer: str(layer.primitive),
    "terms": lambda layer: layer.terms,
    "ifmap_bits": lambda layer: layer.ifmap.bits,
    "weight_bits": lambda layer: layer.weight.bits,
    "ofmap_bits": lambda layer: layer.ofmap.bits,
    "weight_density": lambda layer: f"{layer.weight.density:.2f}",
    **{dim: attrgetter(dim) for dim in DIMS},
}
QUANTITIES = ("energy_pj", "latency_ms")


class Table:
    """Costs from a CSV file, such as a measured device gave them.

    The columns `energy_pj` and `latency_ms` are the costs; all others, of `COLUMNS`, are what a
    layer must be for the row to be its own. Raises InputError naming file, line, column and value,
    and when asked, the layer that has no row.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            with file.open(encoding="utf-8", newline="") as text:
                rows = list(csv.DictReader(text))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{file}: cannot be read: {error}") from error
        self.keys = self._keys(rows)
        self.costs: dict[tuple[str, ...], Cost] = {}
        for line, row in enumerate(rows, start=2):
            key = tuple(str(row[name]).strip() for name in self.keys)
            if key in self.costs:
                raise InputError(f"{file}: line {line}: {self._named(key)}: a second time")
            energy_pj, latency_ms = (self._number(row, name, line) for name in QUANTITIES)
            self.costs[key] = Cost(energy_pj=energy_pj, latency_ms=latency_ms)

    def __call__(self, layer: Layer) -> Cost:
        key = tuple(str(COLUMNS[name](layer)) for name in self.keys)
        if key not in self.costs:
            raise InputError(f"{self.file}: no row with {self._named(key)}")
        return self.costs[key]

    @property
    def name(self) -> str:
        """What reports call it: the file's name."""
        return self.file.name

    @property
    def key(self) -> str:
        """The content."""
        return f"table {self.keys} {sorted(self.costs.items())}"

    def _keys(self, rows: list[dict[str, str]]) -> tuple[str, ...]:
        if not rows:
            raise InputError(f"{self.file}: has no rows")
        for name in QUANTITIES:
            if name not in rows[0]:
                raise InputError(f"{self.file}: has no column {name}")
        keys = tuple(name for name in rows[0] if name not in QUANTITIES)
        for name in keys:
            if name not in COLUMNS:
                known = ", ".join((*COLUMNS, *QUANTITIES))
                raise InputError(f"{self.file}: column {name!r}: known: {known}")
        return keys

    def _named(self, key: tuple[str, ...]) -> str:
        return ", ".join(f"{name} = {value}" for name, value in zip(self.keys, key, strict=True))

    def _number(self, row: Mapping[str, str], name: str, line: int) -> float:
        try:
            value = float(row[name])
        except (TypeError, ValueError):
            value = -1.0
        if not 0 <= value < float("inf"):
            raise InputError(
                f"{self.file}: line {line}: {name} = {row[name]!r}: must be a number, 0 or more"
            )
        return value
