"""What a mapper is asked, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from hwsim.compulsory import least
from hwsim.constraints import FREE, Constraints
from hwsim.cost import Cost
from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping
from hwsim.objective import Objective, value
from hwsim.workload import Layer

# Options of nests: what a layer is worth unless someone says how much. Seconds at most.
EFFORT = 8_000_000
# What was searched: all mappings, those of a dataflow, or one alone was judged.
Space = Literal["whole", "dataflow", "mapping"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """The mapping of `layer` on `machine` that has the least `objective`; all that decides it.

    `max_cycles`: of those alone that take no more. `constraints`: and that look so. `budget_s`: the
    mapper may stop after so many seconds, and then leaves a gap to its bound. `effort`: how many
    options of nests are tried beyond the machine's dataflow, which alone is searched if it is 0.
    """

    layer: Layer
    machine: Accelerator
    objective: Objective = "edp"
    max_cycles: int | None = None
    constraints: Constraints = FREE
    budget_s: float | None = None
    effort: int = EFFORT


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best mapping and its cost. `value` is what the objective makes of the cost, and no
    mapping falls below `lower_bound`, both in pJ, cycles, pJ x cycles or pJ x cycles squared;
    `evaluated` mappings of the `space` were looked at in `seconds`; `reason` says why not in the
    whole space, if that was asked for. `cached`: the search ran before, and the time is what it
    took then.
    """

    mapping: Mapping
    cost: Cost
    objective: Objective
    value: float
    lower_bound: float
    evaluated: int
    seconds: float
    space: Space
    reason: str = ""
    cached: bool = field(default=False, compare=False)

    @property
    def gap(self) -> float | None:
        """How far above its lower bound the value lies, as a share of the bound, if that is any."""
        return self.value / self.lower_bound - 1 if self.lower_bound else None


def judged(
    layer: Layer,
    machine: Accelerator,
    objective: Objective,
    costed: tuple[Mapping, Cost],
    *,
    evaluated: int = 1,
    seconds: float = 0.0,
    space: Space = "mapping",
) -> Found:
    """A valid mapping and its cost as an answer; of all others no more is known than
    `hwsim.compulsory` says."""
    mapping, found = costed
    reached = value(objective, found.energy_pj, found.cycles)
    return Found(
        mapping=mapping,
        cost=found,
        objective=objective,
        value=reached,
        lower_bound=min(least(layer, machine).value(objective), reached),
        evaluated=evaluated,
        seconds=seconds,
        space=space,
    )


Search = Callable[[Question], Found]
