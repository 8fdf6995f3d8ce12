"""What must hold of every answer of the mapper, and of it against all mappings of a tiny layer."""

from typing import get_args

import pytest

from hwsim.constraints import FREE, Constraints, admits
from hwsim.cost import cost
from hwsim.errors import MappingError
from hwsim.found import Found, Question
from hwsim.mapper import best
from hwsim.mapping import validate
from hwsim.objective import Objective, value
from tests.exhaustive import ROUNDING, least
from tests.tiny import Case

OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
EFFORT = 200_000


def answer(
    case: Case, objective: Objective, effort: int = EFFORT, constraints: Constraints = FREE
) -> Found:
    """What the mapper says, which must hold of its mapping."""
    layer, machine = case
    asked = Question(
        layer=layer, machine=machine, objective=objective, effort=effort, constraints=constraints
    )
    found = best(asked)
    validate(found.mapping, layer, machine)
    assert admits(constraints, found.mapping, layer, machine), objective
    again = cost(layer, found.mapping, machine)
    assert found.cost == again
    assert found.value == value(objective, again.energy_pj, again.cycles)
    assert found.lower_bound <= found.value
    return found


def check_against_all(
    case: Case, constraints: Constraints = FREE, effort: int = EFFORT
) -> list[Found]:
    """The bound is below every mapping that obeys, and no value is; that none does is said. The
    answers, by objective; none where no mapping obeys."""
    layer, machine = case
    try:
        oracle = least(layer, machine, OBJECTIVES, lambda each: admits(constraints, each, *case))
    except MappingError:
        with pytest.raises(MappingError):
            best(Question(layer=layer, machine=machine, constraints=constraints))
        return []
    answers = [answer(case, objective, effort, constraints) for objective in OBJECTIVES]
    for objective, found in zip(OBJECTIVES, answers, strict=True):
        known = oracle[objective][0]
        assert found.lower_bound <= known * (1 + ROUNDING), objective
        assert found.value >= known * (1 - ROUNDING), objective
    return answers
