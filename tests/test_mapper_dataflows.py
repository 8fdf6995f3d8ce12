"""The mapper under one dataflow, against every mapping of tiny layers that is of it."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import get_args

import pytest

from hwsim.constraints import Constraints, admits, check
from hwsim.cost import cost
from hwsim.dataflow import within_dataflow
from hwsim.dataflow_rules import Dataflow
from hwsim.errors import ConfigError
from hwsim.found import EFFORT, Question
from hwsim.hardware import load_machine
from hwsim.map_space import sampled
from hwsim.mapper import best
from hwsim.workload import Layer
from tests.answers import check_against_all
from tests.tiny import Case, stream

pytestmark = pytest.mark.slow

DATAFLOWS: tuple[Dataflow, ...] = get_args(Dataflow)
# Mappings of a case at most: all may have to be asked whether they obey.
MOST = 30_000
EYERISS = load_machine("eyeriss_v1")
LAYER = Layer(name="conv", K=8, C=6, P=5, Q=5, R=3, S=3)


def runnable(dataflow: Dataflow) -> Iterator[Case]:
    """Tiny cases of machines whose PEs can keep what is to stay."""
    for layer, machine in stream(7, most=MOST):
        if layer.weighted and len(machine.arrays) <= 1:
            try:
                check(Constraints(dataflow=dataflow), machine)
            except ConfigError:
                continue
            yield layer, machine


@lru_cache
def drawn(dataflow: Dataflow, count: int) -> list[Case]:
    return list(islice(runnable(dataflow), count))


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_no_mapping_of_the_dataflow_is_below_the_bound(dataflow: Dataflow, number: int) -> None:
    found = check_against_all(drawn(dataflow, 6)[number], Constraints(dataflow=dataflow), EFFORT)
    assert all(each.space == "whole" for each in found)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_a_larger_layer_gains_on_what_the_dataflow_offers(dataflow: Dataflow) -> None:
    given = Constraints(dataflow=dataflow)
    asked = Question(
        layer=LAYER, machine=EYERISS, objective="energy", effort=500_000, constraints=given
    )
    found, offered = best(asked), within_dataflow(asked)
    assert admits(given, found.mapping, LAYER, EYERISS)
    assert best(replace(asked, constraints=Constraints())).lower_bound <= found.value
    assert offered.lower_bound <= found.lower_bound <= found.value <= offered.value
    for mapping in sampled(LAYER, EYERISS, count=200, seed=1, constraints=given):
        assert found.lower_bound <= cost(LAYER, mapping, EYERISS).energy_pj
