"""The mapper on machines that skip zeros, whose lanes wait for each other: against every mapping of
tiny layers, and what it gains on a larger one."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from random import Random

import pytest

from hwsim.constraints import Constraints
from hwsim.cost import Cost, cost
from hwsim.dataflow import within_dataflow
from hwsim.found import Question
from hwsim.hardware import load_machine
from hwsim.mapping import Loop, Mapping, validate
from hwsim.objective import value
from hwsim.search.waiting import outwards
from hwsim.workload import Layer, Tensor
from tests.answers import OBJECTIVES, answer
from tests.exhaustive import ROUNDING, mappings, size
from tests.tiny import Case, stream

MOST = 2_000
SKIPPING = load_machine("zero_skipping")


def with_zeros(layer: Layer) -> Layer:
    """Of 8 bits."""
    ifmap, weight = Tensor(bits=8, density=0.5), Tensor(bits=8, density=0.4)
    return replace(layer, ifmap=ifmap, weight=weight, ofmap=Tensor(bits=8))


CONV = with_zeros(Layer(name="conv", K=512, C=512, P=7, Q=7, R=3, S=3, pad_h=1, pad_w=1))


@lru_cache
def searched(seed: int, count: int) -> tuple[Case, ...]:
    """So many tiny cases whose machines skip zeros, and which the mapper searches."""
    found, drawn = [], Random(seed)
    for case in stream(seed, most=60_000):
        layer, machine = _skipping(case, drawn)
        if layer.weighted and len(machine.arrays) <= 1 and size(*case) <= MOST:
            found.append((layer, machine))
        if len(found) == count:
            break
    return tuple(found)


def _skipping(case: Case, drawn: Random) -> Case:
    """The case with zeros that PEs skip, and wait for each other at some level, or in the end."""
    layer, machine = case
    level = drawn.choice(["", *(level.level for level in machine.levels)])
    skipped = drawn.choice([("ifmap",), ("weight",), ("ifmap", "weight")])
    mac = machine.mac.model_copy(update={"zero_skipping": skipped, "sync_level": level})
    ifmap, weight = (
        replace(tensor, density=drawn.choice([0.2, 0.5, 1.0]))
        for tensor in (layer.ifmap, layer.weight)
    )
    return replace(layer, ifmap=ifmap, weight=weight), machine.model_copy(update={"mac": mac})


def every_cost(case: Case) -> Iterator[Cost]:
    """Of all mappings; which are valid does not depend on zeros."""
    layer, machine = case
    mac = machine.mac.model_copy(update={"zero_skipping": (), "sync_level": ""})
    for mapping in mappings(layer, machine.model_copy(update={"mac": mac})):
        yield cost(layer, mapping, machine)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(24))
def test_no_mapping_is_below_the_bound_where_zeros_are_skipped(number: int) -> None:
    case = searched(7, 24)[number]
    costs = [(each.energy_pj, each.cycles) for each in every_cost(case)]
    for objective in OBJECTIVES:
        known, found = min(value(objective, *each) for each in costs), answer(case, objective)
        assert found.space == "whole"
        assert found.lower_bound <= known * (1 + ROUNDING), objective
        assert found.value == pytest.approx(known, rel=ROUNDING), objective


@pytest.mark.slow
def test_a_larger_layer_gains_on_what_the_dataflow_offers() -> None:
    found = answer((CONV, SKIPPING), "edp", 5_000_000)
    offered = within_dataflow(Question(layer=CONV, machine=SKIPPING))
    assert found.value < 0.9 * offered.value
    assert found.gap is not None
    assert found.gap < 0.05


@pytest.mark.slow
def test_what_waits_less_still_obeys_constraints() -> None:
    layer = with_zeros(Layer(name="small", K=24, C=10, P=9, Q=14, R=3, S=2))
    given = Constraints(tiles={"spad": {"K": 2, "Q": 1}}, spatial={"X": ("Q",)})
    free = answer((layer, SKIPPING), "cycles")
    assert free.value <= answer((layer, SKIPPING), "cycles", constraints=given).value


def test_lanes_wait_less_the_farther_out_their_tiles_change() -> None:
    layer = with_zeros(Layer(name="small", K=24, C=10, P=9, Q=14, R=3, S=2))
    mapping = Mapping.from_yaml(
        [
            {"store": "DRAM", "tensors": ["ifmap", "weight", "ofmap"]},
            {"store": "GLB", "tensors": ["ifmap", "ofmap"]},
            {"for": "K", "tile": 2, "axis": "Y"},
            {"for": "C", "tile": 1},
            {"store": "spad", "tensors": ["weight"]},
            *({"for": dim, "tile": 1} for dim in "PQ"),
            {"store": "spad", "tensors": ["ifmap"]},
            {"for": "K", "tile": 1},
            {"store": "spad", "tensors": ["ofmap"]},
            *({"for": dim, "tile": 1} for dim in "RS"),
        ]
    )
    nests = list(outwards(mapping, layer, SKIPPING))
    cycles = [cost(layer, each, SKIPPING).compute_cycles for each in nests]
    assert [each.nodes[5] for each in (nests[0], nests[-1])] == [Loop("P", 1), Loop("P", 1)]
    assert Loop("Q", 3) in nests[-1].loops  # (3 + 2 - 1) x 3 words of ifmap fill the pad
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[-1] < 0.8 * cycles[0]
    for each in nests:
        validate(each, layer, SKIPPING)
