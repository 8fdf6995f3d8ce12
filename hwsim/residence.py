"""Ofmaps that stay on chip for their consumers: for which of a network's layers it pays.

A tensor that stays has its home in a buffer instead of DRAM (`hwsim.hardware.Accelerator.homes`):
its producer writes it there, its consumers read it there, and tiles of other tensors have that much
less room. A layer with a tensor that stays is therefore the same layer on a machine with another
home for it, mapped and costed like any other.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, combinations
from math import prod
from typing import NamedTuple

from hwsim._residents import Family, Flow, Resident
from hwsim.cost import Totals, fused_cost
from hwsim.errors import MappingError
from hwsim.found import Found, Question, Search
from hwsim.hardware import Accelerator
from hwsim.homes import buffer, with_homes
from hwsim.objective import POWERS, Objective, undominated
from hwsim.simulate import LayerResult, NetworkResult, accumulated, ask
from hwsim.workload import Layer, Network


@dataclass(frozen=True, kw_only=True)
class Residence:
    """A network some of whose ofmaps stay on chip, and the same with all of them in DRAM.

    `kept`: the ofmaps that stay. `machines`: by layer while which one of them is on chip, the
    machine as that layer sees it.
    """

    kept: tuple[Resident, ...]
    result: NetworkResult
    apart: NetworkResult
    machines: dict[str, Accelerator]

    @property
    def totals(self) -> Totals:
        """Of the network with ofmaps on chip."""
        return Totals.of((1, row.cost) for row in self.result.layers)

    @property
    def totals_apart(self) -> Totals:
        """Of the network with every ofmap in DRAM."""
        return Totals.of((1, row.cost) for row in self.apart.layers)


def keep_on_chip(
    network: Network,
    machine: Accelerator,
    *,
    search: Search = ask,
    objective: Objective = "edp",
    progress: Callable[[str], None] | None = None,
) -> Residence:
    """The ofmaps whose stay on chip leaves least energy, cycles, or product of both in all.

    Exact, layers being run in the network's order, one after the other, each under the mapping that
    `search` finds for it: of all sets of ofmaps that may stay (`hwsim._residents` says which) and
    fit the outermost buffer of ifmaps and ofmaps, none leaves less. `progress` is told each
    name once the layer's cases are all known. Raises MappingError where a layer fits no mapping
    even with nothing kept, and InputError as `search` does.
    """
    level = buffer(machine, "ifmap", "ofmap")
    stage = _Stage(Flow(network, machine), level, objective, search)
    tell = progress or (lambda name: None)
    for rider in stage.riders:
        tell(rider.name)
    kept = _best(stage, tell)
    return Residence(
        kept=tuple(sorted(stage.residents(kept), key=lambda resident: resident.first)),
        result=stage.result(kept),
        apart=stage.result(NOTHING),
        machines=stage.machines(kept),
    )


Chosen = frozenset[int]
NOTHING: Chosen = frozenset()


@dataclass
class _Stage:
    """Layers under the choice of some families, each case mapped once."""

    flow: Flow
    level: str | None
    objective: Objective
    search: Search
    known: dict[tuple[object, ...], Found | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = tuple(self.flow.layers)
        memory = self.flow.machine.level(self.level).memory("ofmap") if self.level else None
        self.families: tuple[Family, ...] = self.flow.families(memory) if memory else ()

    def residents(self, chosen: Chosen) -> tuple[Resident, ...]:
        """The ofmaps of the chosen families."""
        return tuple(resident for index in sorted(chosen) for resident in self.families[index])

    def _homes(self, step: int, residents: Iterable[Resident]) -> dict[str, str]:
        """Which of a layer's tensors stay, and where."""
        name, made = self.names[step], {resident.producer for resident in residents}
        tensors = {"ifmap": set(self.flow.producers[name]) & made, "ofmap": {name} & made}
        return {tensor: self.level or "" for tensor, staying in tensors.items() if staying}

    def _machine(self, step: int, chosen: Chosen) -> Accelerator | None:
        """The machine as a layer sees it; None where what stays exceeds the buffer."""
        residents = self.residents(chosen)
        bits = sum(resident.room_bits(step) for resident in residents)
        rooms = {(self.level or "", "ofmap"): bits}
        return with_homes(self.flow.machine, self._homes(step, residents), rooms)

    def mapped(self, step: int, chosen: Chosen) -> Found | None:
        """A layer's mapping and cost; None where the families leave it no room."""
        layer, residents = self.flow.layers[self.names[step]], self.residents(chosen)
        bits = sum(resident.room_bits(step) for resident in residents)
        key = (replace(layer, name=""), *self._homes(step, residents), bits)
        if key not in self.known:
            self.known[key] = self._search(layer, step, chosen)
        return self.known[key]

    def _search(self, layer: Layer, step: int, chosen: Chosen) -> Found | None:
        machine = self._machine(step, chosen)
        if machine is None:
            return None
        try:
            goal = self.objective
            return self.search(Question(layer=layer, machine=machine, objective=goal, effort=0))
        except MappingError:
            if not chosen:
                raise
            return None

    @property
    def riders(self) -> list[Layer]:
        """The layers that ride on others, of which nothing here changes the cost."""
        return [layer for layer in self.flow.network if layer.name not in self.flow.layers]

    @property
    def riders_pj(self) -> float:
        """Their energy."""
        machine = self.flow.machine
        return sum(
            fused_cost(accumulated(layer, machine), machine).energy_pj for layer in self.riders
        )

    def result(self, chosen: Chosen) -> NetworkResult:
        """The network with the chosen families on chip."""
        rows = tuple(self._row(layer, chosen) for layer in self.flow.network)
        return NetworkResult(network=self.flow.network, machine=self.flow.machine, layers=rows)

    def _row(self, layer: Layer, chosen: Chosen) -> LayerResult:
        layer, machine = accumulated(layer, self.flow.machine), self.flow.machine
        if layer.name not in self.names:
            producer = next(iter(self.flow.network.graph.predecessors(layer.name)))
            cost = fused_cost(layer, machine)
            return LayerResult(layer=layer, mapping=None, cost=cost, fused_into=producer)
        found = self.mapped(self.names.index(layer.name), chosen)
        assert found is not None
        return LayerResult(layer=layer, mapping=found.mapping, cost=found.cost)

    def machines(self, chosen: Chosen) -> dict[str, Accelerator]:
        """By layer beside which something stays on chip, the machine as it sees it."""
        found = {name: self._machine(step, chosen) for step, name in enumerate(self.names)}
        return {
            name: machine
            for step, (name, machine) in enumerate(found.items())
            if machine and any(r.room_bits(step) for r in self.residents(chosen))
        }


class _Label(NamedTuple):
    """Sums of what the objective weighs, so far, and the families that were chosen."""

    sums: tuple[float, ...]
    chosen: Chosen


def _best(stage: _Stage, progress: Callable[[str], None]) -> Chosen:
    """The families that leave least, by a dynamic program over the order of execution.

    Its state is which chosen families are on chip after a layer, since nothing else bears on later
    ones. Of each state the choices are kept that no other beats in every sum.
    """
    powers = POWERS[stage.objective]
    labels = {NOTHING: [_Label(_weighed(powers, stage.riders_pj, 0.0), NOTHING)]}
    for step, name in enumerate(stage.names):
        reached: dict[Chosen, list[_Label]] = {}
        for state, before in labels.items():
            for begun in _subsets(stage.families, step):
                found = stage.mapped(step, state | begun)
                if found:
                    added = _weighed(powers, found.cost.energy_pj, found.cost.cycles)
                    after = _still_there(stage.families, state | begun, step)
                    reached.setdefault(after, []).extend(_grown(before, added, begun))
        labels = {
            state: list(undominated(found, lambda label: label.sums))
            for state, found in reached.items()
        }
        progress(name)
    weights = [power for power in powers if power]
    return min(labels[NOTHING], key=lambda label: prod(map(pow, label.sums, weights))).chosen


def _weighed(powers: tuple[int, int], energy_pj: float, cycles: float) -> tuple[float, ...]:
    """Energy, cycles, or both: what has a power."""
    return tuple(each for each, power in zip((energy_pj, cycles), powers, strict=True) if power)


def _subsets(families: tuple[Family, ...], step: int) -> Iterator[Chosen]:
    """Every choice among the families whose first ofmap a layer makes, none of them first."""
    begin = [i for i, family in enumerate(families) if min(r.first for r in family) == step]
    sizes = range(len(begin) + 1)
    return map(frozenset, chain.from_iterable(combinations(begin, size) for size in sizes))


def _still_there(families: tuple[Family, ...], chosen: Chosen, step: int) -> Chosen:
    return frozenset(i for i in chosen if max(r.last for r in families[i]) > step)


def _grown(labels: Iterable[_Label], added: tuple[float, ...], begun: Chosen) -> Iterator[_Label]:
    for sums, chosen in labels:
        total = tuple(old + new for old, new in zip(sums, added, strict=True))
        yield _Label(total, chosen | begun)
