"""Energy against cycles over all mappings, held to every mapping of tiny layers and to laws."""

from dataclasses import replace

import pytest

from hwsim.cost import cost
from hwsim.errors import MappingError
from hwsim.found import Question
from hwsim.hardware import load_machine
from hwsim.mapper import best
from hwsim.mapping import validate
from hwsim.objective import value
from hwsim.simulate import front, search
from hwsim.workload import Layer
from tests.exhaustive import ROUNDING, least
from tests.test_mapper import searched

SYSTOLIC = load_machine("systolic_ws")
BITS = {"ifmap": 8, "weight": 8, "ofmap": 8, "psum": 32}
LAYER = Layer(name="rows", K=24, C=24, P=7, Q=6, R=2, S=3).at_bits(**BITS)
ASKED = Question(layer=LAYER, machine=SYSTOLIC, objective="energy", effort=100_000)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 3))
def test_the_front_of_a_tiny_layer_lies_between_the_best_of_all_and_the_dataflow(
    number: int,
) -> None:
    layer, machine = searched(1, 12)[number]
    asked, oracle = Question(layer=layer, machine=machine, effort=50_000), least(layer, machine)
    found, alone = front(asked), front(replace(asked, effort=0))
    cycles, energies = ([getattr(x.cost, key) for x in found] for key in ("cycles", "energy_pj"))
    assert cycles == sorted(set(cycles))
    assert energies == sorted(set(energies), reverse=True)
    assert oracle["cycles"][0] <= cycles[0] <= alone[0].cost.cycles
    assert oracle["energy"][0] * (1 - ROUNDING) <= energies[-1] <= alone[-1].cost.energy_pj
    for each in found:
        validate(each.mapping, layer, machine)
        assert each.cost == cost(layer, each.mapping, machine)
        assert each.lower_bound <= oracle["energy"][0] * (1 + ROUNDING)


@pytest.mark.slow
def test_no_mapping_of_a_front_is_beaten_by_the_dataflow() -> None:
    found = front(ASKED)
    assert {each.space for each in found} == {"whole"}
    for alone in front(replace(ASKED, effort=0)):
        assert any(
            each.cost.cycles <= alone.cost.cycles and each.cost.energy_pj <= alone.cost.energy_pj
            for each in found
        )


@pytest.mark.slow
def test_a_latency_is_kept_at_an_energy_above_the_bound() -> None:
    free = search(ASKED)
    fastest = search(replace(ASKED, objective="cycles")).cost.cycles
    assert fastest < free.cost.cycles
    for most in (fastest, free.cost.cycles - 1, free.cost.cycles):
        found = search(replace(ASKED, max_cycles=most))
        validate(found.mapping, LAYER, SYSTOLIC)
        assert found.cost.cycles <= most
        assert found.value == value("energy", found.cost.energy_pj, found.cost.cycles)
        assert free.lower_bound == found.lower_bound <= free.value <= found.value
        assert found.space == "whole"


@pytest.mark.slow
def test_a_latency_that_nothing_keeps_is_an_error() -> None:
    with pytest.raises(MappingError, match=r"takes \d+ cycles on systolic_ws, more than max_cyc"):
        search(replace(ASKED, max_cycles=3))


@pytest.mark.slow
def test_time_is_shared_among_the_objectives() -> None:
    found = search(replace(ASKED, max_cycles=10**9, budget_s=1e-9))
    assert (found.space, found.reason) == (
        "dataflow",
        f"budget_s = {1e-9 / 4} is too little to search all mappings",
    )


def test_the_search_itself_refuses_a_latency() -> None:
    with pytest.raises(MappingError, match="max_cycles = 9 is no limit that it knows"):
        best(replace(ASKED, max_cycles=9))
