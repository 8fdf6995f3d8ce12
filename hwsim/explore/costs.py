"""What layers cost on the machines of a space, under the best mappings of their dataflows."""

from collections import OrderedDict
from itertools import islice
from typing import NamedTuple

import numpy as np

from hwsim.cost import COMPONENTS, Cost, arithmetic_pj, cost
from hwsim.dataflow import check_operands, within_dataflow
from hwsim.errors import MappingError
from hwsim.explore.offers import Offers, cheapest, offered, offers, priced
from hwsim.explore.shape import shape
from hwsim.explore.space import Space
from hwsim.explore.terms import Known
from hwsim.found import Found, Question
from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping
from hwsim.objective import POWERS
from hwsim.simulate import ask
from hwsim.workload import Layer

# Mappings whose counts a worker keeps, some kB each.
MOST_MAPPINGS = 60_000


class Spent(NamedTuple):
    """What a layer costs: energy by component, cycles, and bits from and to DRAM."""

    energy_by_component_pj: dict[str, float]
    cycles: int
    dram_bits: int

    @staticmethod
    def by(cost: Cost) -> "Spent":
        """Of a cost, what a row needs."""
        return Spent(cost.energy_by_component_pj, cost.cycles, cost.dram_bits)


class Costs:
    """What layers cost on one machine, under their best mappings."""

    def __init__(self, space: Space, machine: Accelerator) -> None:
        self._space, self._machine = space, machine
        self._shape, self._priced = shape(machine), priced(machine)
        control = machine.control
        leakage_pj = control.leakage_mw / machine.clock_mhz * 1e3
        self._cycle_pj = {"clock": control.clock_pj_per_cycle, "leakage": leakage_pj}

    def of(self, layer: Layer) -> Spent:
        """Raises MappingError, InputError."""
        found = self._searched(layer)
        return Spent.by(found.cost) if found else self._cheapest(layer)

    def mapped(self, layer: Layer) -> tuple[Mapping, Cost]:
        """The mapping by which a layer costs what `of` says, and all of that cost. Raises
        MappingError, InputError."""
        found = self._searched(layer)
        if found:
            return found.mapping, found.cost
        pick, _ = self._pick(layer, self._offers(layer))
        mapping = next(islice(offered(layer, self._machine), pick, None))
        return mapping, cost(layer, mapping, self._machine)

    def _searched(self, layer: Layer) -> Found | None:
        """What a mapper says, where offers do not know: of all mappings, or where lanes wait for
        each other."""
        machine, space = self._machine, self._space
        asked = Question(
            layer=layer, machine=machine, objective=space.objective, effort=space.effort
        )
        if space.effort:
            return ask(asked)
        return within_dataflow(asked) if layer.weighted and machine.mac.zero_skipping else None

    def _offers(self, layer: Layer) -> Offers:
        machine = self._machine
        check_operands(layer, machine)
        known = _KEPT.of(layer, self._shape, machine)
        if known is None:
            within_dataflow(Question(layer=layer, machine=machine, effort=0))  # says what is small
            raise MappingError(f"{machine.name}: a layer fits no mapping")
        return known

    def _pick(self, layer: Layer, known: Offers) -> tuple[int, int]:
        """The number of the best mapping, and its cycles."""
        return cheapest(
            known,
            self._priced,
            fixed_pj=arithmetic_pj(layer, self._machine),
            cycle_pj=sum(self._cycle_pj.values()),
            powers=POWERS[self._space.objective],
        )

    def _cheapest(self, layer: Layer) -> Spent:
        machine, prices, known = self._machine, self._priced, self._offers(layer)
        pick, cycles = self._pick(layer, known)
        energy = dict.fromkeys(COMPONENTS, 0.0) | {"MAC": arithmetic_pj(layer, machine)}
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
