"""The mapper under constraints, against every mapping of tiny layers that obeys them."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from random import Random
from typing import Any

import pytest

from hwsim.constraints import Constraints, admits, check
from hwsim.cost import cost
from hwsim.dataflow import within_dataflow
from hwsim.errors import MappingError
from hwsim.found import EFFORT, Question
from hwsim.hardware import Accelerator, load_machine
from hwsim.map_space import sampled
from hwsim.mapper import best
from hwsim.tradeoff import front
from hwsim.workload import DIMS, Layer
from tests import machines
from tests.answers import check_against_all
from tests.tiny import Case, stream

pytestmark = pytest.mark.slow

# Mappings of a case at most: all may have to be asked whether they obey.
MOST = 30_000
EYERISS = load_machine("eyeriss_v1")
LAYER = Layer(name="conv", K=8, C=6, P=5, Q=5, R=3, S=3)
GIVEN: dict[str, Any] = {
    "bypass": {"GLB": ["weight"]},
    "keep": {"spad": ["ifmap", "ofmap"]},
    "spatial": {"X": ["K", "P"], "Y": ["R"]},
    "tiles": {"GLB": {"C": 2, "Q": 3}, "spad": {"K": 3}},
}


def rules(layer: Layer, machine: Accelerator, chance: Random) -> Constraints:
    """Some that the machine could obey, drawn by chance."""
    bypass: dict[str, list[str]] = {}
    keep: dict[str, list[str]] = {}
    for level in machine.levels[1:]:
        for tensor in layer.tensors:
            memory = level.memory(tensor)
            where = chance.choice((bypass, keep, None, None))
            if memory and where is not None and (memory.bypass or where is keep):
                where.setdefault(level.level, []).append(tensor)
    axes = [axis for array in machine.arrays for axis in array.axes]
    spatial = {axis: chance.sample(DIMS, chance.randint(0, 4)) for axis in axes}
    tiles = {
        level.level: {dim: chance.randint(1, layer.bounds[dim]) for dim in chance.sample(DIMS, 3)}
        for level in machine.levels[1:]
    }
    given: dict[str, Any] = {"bypass": bypass, "keep": keep, "spatial": spatial, "tiles": tiles}
    kept = {key: value for key, value in given.items() if chance.random() < 0.6}
    found = Constraints.model_validate(kept)
    check(found, machine)
    return found


def ruled(seed: int) -> Iterator[tuple[Case, Constraints]]:
    """Tiny cases with rules, some that nothing obeys among them."""
    chance = Random(seed)
    for layer, machine in stream(seed, most=MOST):
        if layer.weighted and len(machine.arrays) <= 1:
            yield (layer, machine), rules(layer, machine, chance)


@lru_cache
def drawn(seed: int, count: int) -> list[tuple[Case, Constraints]]:
    return list(islice(ruled(seed), count))


@pytest.mark.parametrize("number", range(60))
def test_no_mapping_that_obeys_is_below_the_bound(number: int) -> None:
    found = check_against_all(*drawn(100, 60)[number], EFFORT)
    assert all(each.space == "whole" for each in found)


@pytest.mark.parametrize("key", GIVEN)
def test_what_chance_finds_is_not_below_the_bound(key: str) -> None:
    given = Constraints.model_validate({key: GIVEN[key]})
    asked = Question(layer=LAYER, machine=EYERISS, objective="energy", effort=500_000)
    free, found = best(asked), best(replace(asked, constraints=given))
    assert admits(given, found.mapping, LAYER, EYERISS)
    assert found.value >= free.lower_bound
    for mapping in sampled(LAYER, EYERISS, count=200, seed=1, constraints=given):
        assert found.lower_bound <= cost(LAYER, mapping, EYERISS).energy_pj


def test_a_dataflow_without_any_such_mapping_is_no_obstacle() -> None:
    given = Constraints(tiles={"spad": {"S": 1}})
    asked = Question(layer=LAYER, machine=EYERISS, constraints=given, effort=500_000)
    with pytest.raises(MappingError, match="the constraints exclude every row_stationary mapping"):
        within_dataflow(asked)
    found = best(asked)
    assert found.space == "whole"
    assert admits(given, found.mapping, LAYER, EYERISS)
    assert all(admits(given, each.mapping, LAYER, EYERISS) for each in front(asked))


def test_what_nothing_obeys_is_said() -> None:
    memory = machines.PADS[1].model_copy(
        update={"tensors": ("ifmap", "weight"), "capacity_bits": 24, "bypass": True}
    )
    small = machines.machine(machines.dram_level(), machines.spad_level(memory))
    given = Constraints(keep={"spad": ("ifmap", "weight")})
    with pytest.raises(MappingError, match=r"spad: ifmap 16 \+ weight 16 bits exceed 24"):
        best(Question(layer=LAYER, machine=small, constraints=given))
