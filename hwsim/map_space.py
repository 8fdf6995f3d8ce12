"""Where a layer's mappings lie, in energy and cycles: many at random, and those that were found."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from hwsim._random_nest import RandomNest
from hwsim.constraints import FREE, Constraints, admits, narrowed
from hwsim.cost import cost
from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping
from hwsim.objective import Objective, undominated
from hwsim.skipping import balanced_cycles
from hwsim.workload import Layer

TRIES = 10  # nests grown for each that is to obey a dataflow


@dataclass(frozen=True)
class Point:
    """Energy and cycles of a mapping."""

    energy_pj: float
    cycles: int


@dataclass(frozen=True, kw_only=True)
class Space:
    """Mappings sampled and found, and the value below which the objective falls for none.

    `found`, which `label` names, are the optimum, a Pareto front or a user's own mapping. The bound
    covers mappings of up to `max_cycles`.
    """

    title: str
    samples: tuple[Point, ...]
    found: tuple[Point, ...]
    label: str
    objective: Objective
    lower_bound: float | None = None
    max_cycles: int | None = None


def sampled(
    layer: Layer,
    machine: Accelerator,
    *,
    count: int,
    seed: int,
    constraints: Constraints = FREE,
) -> Iterator[Mapping]:
    """So many random valid mappings that obey the constraints; fewer where a dataflow is rare.

    Raises MappingError where single words do not fit.
    """
    chance, found, rules = Random(seed), 0, narrowed(constraints, machine)
    for _ in range(count * (TRIES if constraints.dataflow else 1)):
        if found == count:
            return
        mapping = RandomNest(layer, machine, rules, chance).grown()
        if admits(constraints, mapping, layer, machine):
            found += 1
            yield mapping


def points(layer: Layer, machine: Accelerator, mappings: Iterable[Mapping]) -> tuple[Point, ...]:
    """Where valid mappings lie.

    Lanes of a machine that skips zeros are taken to wait for none, since that takes long to count:
    cycles are a little too few there.
    """
    costs = (cost(layer, each, machine, arithmetic=balanced_cycles) for each in mappings)
    return tuple(Point(found.energy_pj, found.cycles) for found in costs)


def front(found: Iterable[Point]) -> tuple[Point, ...]:
    """Those that no other matches or beats in both, by cycles."""
    return undominated(found, lambda point: (point.cycles, point.energy_pj))
