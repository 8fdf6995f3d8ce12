"""Every valid mapping of a tiny layer, and the least of each objective over them: the judge of
mappers. It goes through all that there is and leaves nothing out for being worse than another.

A nest is every order of every chain of strictly falling tiles of every dimension, each loop in time
or along an axis. In each nest every tensor is kept at each of its levels at every depth, or not at
all where the level may be bypassed. What cannot be valid is cut as soon as that shows: a loop that
needs more places than its axis has left, an axis of an outer array within an inner one, a store on
the wrong side of an array, a tile larger than its memory. `exhaustive_nests` says which nests and
stores are left out because another one has the same counts, and why it has.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isclose, prod

import numpy as np
from numpy.typing import NDArray

from hwsim.cost import arithmetic_pj, cost
from hwsim.errors import MappingError
from hwsim.hardware import Accelerator
from hwsim.mapping import Loop, Mapping
from hwsim.reuse import MAC
from hwsim.workload import Layer
from tests.exhaustive_nests import NEVER, Choice, Limits, Nests, Path, Places, Point
from tests.exhaustive_prices import Integers, Link, Prices, Table, assemble, woven

# By objective, the powers of energy and of cycles in it.
OBJECTIVES = {"energy": (1, 0), "cycles": (0, 1), "edp": (1, 1), "ed2p": (1, 2)}

# Sums of the same energies in another order differ by less than this share.
ROUNDING = 1e-9

Costs = NDArray[np.float64]
Found = tuple[float, Mapping]


@dataclass(frozen=True)
class Nest:
    """All valid mappings of one order of loops: energy in pJ and cycles [mapping, 2], and by
    tensor which of its choices of stores each one has, [mapping, tensor]."""

    loops: tuple[Loop, ...]
    costs: Costs
    places: Integers
    choices: dict[str, list[Choice]]
    machine: Accelerator

    def mapping(self, at: int) -> Mapping:
        """One of them."""
        stores = {
            tensor: choices[self.places[at, column]]
            for column, (tensor, choices) in enumerate(self.choices.items())
        }
        return woven(self.machine, self.loops, stores)


def nests(layer: Layer, machine: Accelerator) -> Iterator[Nest]:
    """Every order of loops with all its valid mappings, if it has any."""
    space = _Space(layer, machine)
    for path in space.orders.paths():
        nest = space.nest(path)
        if len(nest.costs):
            yield nest


def mappings(layer: Layer, machine: Accelerator) -> Iterator[Mapping]:
    """Every valid mapping."""
    for nest in nests(layer, machine):
        yield from map(nest.mapping, range(len(nest.costs)))


def costs(layer: Layer, machine: Accelerator) -> Iterator[Costs]:
    """Energy in pJ and cycles [mapping, 2] of every valid mapping, an order of loops at a time."""
    yield from (nest.costs for nest in nests(layer, machine))


def size(layer: Layer, machine: Accelerator) -> int:
    """How many valid mappings there are."""
    return sum(len(nest.costs) for nest in nests(layer, machine))


def least(
    layer: Layer,
    machine: Accelerator,
    objectives: Sequence[str] = tuple(OBJECTIVES),
    admits: Callable[[Mapping], bool] = lambda _: True,
) -> dict[str, Found]:
    """By objective, its least value over all valid mappings that are admitted, and one of them that
    has it.

    In pJ, cycles, pJ x cycles and pJ x cycles^2. Raises MappingError where there is none.
    """
    found: dict[str, tuple[float, Nest, int]] = {}
    for nest in nests(layer, machine):
        for name in objectives:
            values = _values(nest.costs, name)
            limit = found[name][0] if name in found else np.inf
            for at in np.argsort(values)[: np.count_nonzero(values < limit)]:
                if admits(nest.mapping(int(at))):
                    found[name] = float(values[at]), nest, int(at)
                    break
    if not found:
        raise MappingError(f"layer {layer.name!r}: no mapping is valid")
    return {
        name: _checked(layer, machine, name, value, nest.mapping(at))
        for name, (value, nest, at) in found.items()
    }


def front(layer: Layer, machine: Accelerator) -> tuple[tuple[float, int, Mapping], ...]:
    """Energy in pJ, cycles and a mapping of each point of the energy-latency Pareto front, fastest
    first: every point costs less energy than all that are as fast or faster.

    Raises MappingError where no mapping is valid.
    """
    found: dict[int, tuple[float, Nest, int]] = {}
    for nest in nests(layer, machine):
        for at in _least_energies(nest.costs):
            energy, cycles = nest.costs[at]
            if cycles not in found or energy < found[int(cycles)][0]:
                found[int(cycles)] = float(energy), nest, int(at)
    if not found:
        raise MappingError(f"layer {layer.name!r}: no mapping is valid")
    points, best = [], np.inf
    for cycles, (energy, nest, at) in sorted(found.items()):
        if energy < best * (1.0 - ROUNDING):
            best, mapping = energy, nest.mapping(at)
            points.append((*_price(layer, machine, mapping, energy, cycles), mapping))
    return tuple(points)


def _least_energies(costs: Costs) -> Integers:
    """The mappings of least energy at each number of cycles."""
    order = np.lexsort((costs[:, 0], costs[:, 1]))
    found: Integers = order[np.diff(costs[order, 1], prepend=-1.0) > 0]
    return found


def _values(costs: Costs, objective: str) -> Costs:
    energy, cycles = OBJECTIVES[objective]
    values: Costs = costs[:, 0] ** energy * costs[:, 1] ** cycles
    return values


def _price(
    layer: Layer, machine: Accelerator, mapping: Mapping, energy: float, cycles: float
) -> tuple[float, int]:
    """What `hwsim` says a mapping costs, which must be what was put together here."""
    price = cost(layer, mapping, machine)
    assert price.cycles == cycles, mapping
    assert isclose(price.energy_pj, energy, rel_tol=ROUNDING), mapping
    return price.energy_pj, price.cycles


def _checked(
    layer: Layer, machine: Accelerator, objective: str, value: float, mapping: Mapping
) -> Found:
    price = cost(layer, mapping, machine)
    exact = float(_values(np.array([[price.energy_pj, price.cycles]]), objective)[0])
    assert isclose(exact, value, rel_tol=ROUNDING), mapping
    return exact, mapping


@dataclass(frozen=True)
class _Stores:
    """One tensor's choices of stores in nests of one shape: the links they are made of, by number
    and padded [choice, link]; loops above those that stall the PEs, padded with 0 [choice, store];
    and by array the deepest store outside it and the first one inside [choice, array]."""

    choices: list[Choice]
    links: list[Link]
    numbers: Integers
    stalling: Integers
    outer: Integers
    inner: Integers


class _Space:
    """The mappings of one layer on one machine."""

    def __init__(self, layer: Layer, machine: Accelerator) -> None:
        self.layer, self.machine = layer, machine
        self.orders = Nests(layer, machine)
        self._places = Places(machine)
        self._prices = Prices(layer, machine)
        self._stores: dict[tuple[str, int, Limits], _Stores] = {}
        control = machine.control
        self._by_cycle = control.clock_pj_per_cycle + control.leakage_mw / machine.clock_mhz * 1e3
        self._arithmetic = arithmetic_pj(layer, machine)
        self._skew = sum(array.skew_cycles for array in machine.arrays)

    def nest(self, path: Path) -> Nest:
        """One order of loops with all its mappings."""
        limits = self.orders.limits(path[-1].loops)
        stores = {t: self._known(t, len(path) - 1, limits) for t in self.layer.tensors}
        depths = {t: np.array([_refilled(point, t) for point in path]) for t in stores}
        fills = {t: depths[t][own.stalling].max(axis=1) for t, own in stores.items()}
        parts = [
            self._part(path, stores, fills, int(count))
            for count in np.unique(np.concatenate(list(fills.values())))
        ]
        costs = np.concatenate([costs for costs, _ in parts])
        costs[:, 0] += self._by_cycle * costs[:, 1] + self._arithmetic
        places = np.concatenate([places for _, places in parts])
        choices = {tensor: own.choices for tensor, own in stores.items()}
        return Nest(path[-1].loops, costs, places, choices, self.machine)

    def _part(
        self, path: Path, stores: dict[str, _Stores], fills: dict[str, Integers], count: int
    ) -> tuple[Costs, Integers]:
        """Costs and places of the mappings in which so many loops refill `single` memories."""
        starts = self._prices.starts(path[count])
        tables = [self._table(path, t, own, fills[t], starts) for t, own in stores.items()]
        first, second, third, *_ = (*tables, self._nothing(tables[0]))
        most = prod(len(table.fills) for table in tables)
        costs, places = np.empty((most, 2)), np.empty((most, 3), np.int64)
        work = float(starts * self._skew), float(self._prices.starts(path[-1]))
        valid = assemble(first, second, third, count, self._prices.capacity, work, costs, places)
        return costs[:valid].copy(), places[:valid].copy()

    def _table(
        self, path: Path, tensor: str, stores: _Stores, fills: Integers, starts: int
    ) -> Table:
        """The choices of one tensor that fit if nothing else is kept."""
        links = self._prices.rows(path, tensor, stores.links, starts)
        rows = links[stores.numbers].sum(axis=1)
        capacity = self._prices.capacity
        fit = np.flatnonzero((rows[:, rows.shape[1] - len(capacity) :] <= capacity).all(axis=1))
        return Table(rows[fit], fills[fit], stores.outer[fit], stores.inner[fit], fit)

    def _nothing(self, like: Table) -> Table:
        """The one choice of a tensor that the layer lacks."""
        arrays = like.outer.shape[1]
        none = np.zeros((1, arrays), np.int64)
        rows = np.zeros((1, like.rows.shape[1]))
        zero = np.zeros(1, np.int64)
        return Table(rows, zero, none, none + NEVER, zero)

    def _known(self, tensor: str, loops: int, limits: Limits) -> _Stores:
        key = tensor, loops, limits
        if key not in self._stores:
            self._stores[key] = self._gathered(tensor, loops, limits)
        return self._stores[key]

    def _gathered(self, tensor: str, loops: int, limits: Limits) -> _Stores:
        choices = self._places.choices(tensor, loops, limits)
        chains = [list(pairwise((*choice, (MAC, loops)))) for choice in choices]
        links = list(dict.fromkeys(link for chain in chains for link in chain))
        number = {link: i for i, link in enumerate(links)}
        stalling = [[d for level, d in c if self._prices.waits(tensor, level)] for c in choices]
        sides = np.array([self._places.sides(choice) for choice in choices])
        sides = sides.reshape(len(choices), -1, 2)
        return _Stores(
            choices,
            links,
            _padded([[number[link] for link in chain] for chain in chains], len(links)),
            _padded(stalling, 0),
            sides[:, :, 0].copy(),
            sides[:, :, 1].copy(),
        )


def _refilled(point: Point, tensor: str) -> int:
    """How many loops there are down to the mover of a tensor kept at a point."""
    mover = point.movers.get(tensor)
    return mover.depth if mover else 0


def _padded(rows: Sequence[Sequence[int]], filling: int) -> Integers:
    found = np.full((len(rows), max(1, *map(len, rows))), filling, np.int64)
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = values
    return found
