"""What a mapper is asked, and what it answers."""

from dataclasses import dataclass, field
from typing import Literal

from hwsim.cost import Cost
from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping
from hwsim.workload import Layer

Objective = Literal["energy", "cycles", "edp"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """The mapping of `layer` on `machine` that has the least `objective`; all that decides it.

    `budget_s`: the mapper may stop after so many seconds, and then leaves a gap to its bound.
    """

    layer: Layer
    machine: Accelerator
    objective: Objective = "edp"
    budget_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best mapping and its cost. `value` is what the objective makes of the cost, and no
    mapping falls below `lower_bound`, both in pJ, cycles, or their product; `evaluated` mappings
    were looked at in `seconds`. `cached`: the search ran before, and the time is what it took then.
    """

    mapping: Mapping
    cost: Cost
    objective: Objective
    value: float
    lower_bound: float
    evaluated: int
    seconds: float
    cached: bool = field(default=False, compare=False)
