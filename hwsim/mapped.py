"""One layer mapped, or judged under a mapping of the user's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from hwsim import mapping_file
from hwsim.constraints import Constraints, breach
from hwsim.cost import Cost, cost
from hwsim.errors import MappingError
from hwsim.hardware import Accelerator
from hwsim.map_request import Job
from hwsim.map_space import Objective, value
from hwsim.mapping import Mapping
from hwsim.workload import Layer


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A mapping and its cost. A user's own has no bound, and took no time to find.

    `value` and `lower_bound` are in the objective's unit: pJ, cycles, pJ x cycles, or pJ x cycles
    squared.
    """

    mapping: Mapping
    cost: Cost
    objective: Objective
    value: float
    lower_bound: float | None = None
    evaluated: int = 1
    seconds: float = 0.0

    @property
    def gap(self) -> float | None:
        """How far above its lower bound the value lies, as a share of the bound."""
        return self.value / self.lower_bound - 1 if self.lower_bound else None


class Mapper(Protocol):
    """What `hwsim.mapper` offers; its answers have the fields of `Answer`."""

    def best(
        self,
        layer: Layer,
        machine: Accelerator,
        *,
        objective: Objective,
        max_cycles: int | None,
        constraints: Constraints,
        budget_s: float | None,
    ) -> Any: ...

    def front(
        self, layer: Layer, machine: Accelerator, *, constraints: Constraints
    ) -> Sequence[Any]: ...


def mapper() -> Mapper:
    """The mapper, loaded when it is needed: its kernels take time to load."""
    return cast(Mapper, import_module("hwsim.mapper"))


def answers(job: Job) -> tuple[Answer, ...]:
    """The best mapping, the user's own, or the Pareto front of energy and cycles, fastest first.

    Raises InputError: MappingError where there is none, and with a line for each fault of a file.
    """
    request = job.request
    if request.mapping:
        return (_judged(job, request.mapping),)
    if request.front:
        found = mapper().front(job.layer, job.machine, constraints=job.constraints)
        return tuple(sorted(map(_answer, found), key=lambda answer: answer.cost.cycles))
    one = mapper().best(
        job.layer,
        job.machine,
        objective=request.objective,
        max_cycles=request.max_cycles,
        constraints=job.constraints,
        budget_s=request.budget_s,
    )
    return (_answer(one),)


def _answer(found: Any) -> Answer:
    return Answer(
        mapping=found.mapping,
        cost=found.cost,
        objective=found.objective,
        value=float(found.value),
        lower_bound=float(found.lower_bound),
        evaluated=int(found.evaluated),
        seconds=float(found.seconds),
    )


def _judged(job: Job, path: Path) -> Answer:
    mapping = mapping_file.read(path, job.layer, job.machine)
    broken = breach(job.constraints, mapping, job.layer, job.machine)
    if broken:
        raise MappingError(f"{path}: {broken}")
    found, objective = cost(job.layer, mapping, job.machine), job.request.objective
    return Answer(mapping=mapping, cost=found, objective=objective, value=value(objective, found))
