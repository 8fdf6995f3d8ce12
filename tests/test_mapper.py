"""The mapper against every mapping of tiny layers, and against what is known of a larger one."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from hwsim.constraints import Constraints
from hwsim.cost import cost
from hwsim.dataflow import within_dataflow
from hwsim.errors import MappingError
from hwsim.found import Question
from hwsim.hardware import MemoryLevel, load_machine
from hwsim.mapper import best
from hwsim.mapping import Mapping, validate
from hwsim.objective import Objective
from hwsim.search.problem import form, numbers, windows
from hwsim.search.structures import most_stores, structures
from hwsim.search.ways import CHUNK, PLACES, dimension_ways
from hwsim.workload import DIMS, Layer, Op
from tests import machines
from tests.answers import EFFORT, OBJECTIVES, answer, check_against_all
from tests.exhaustive import ROUNDING, least
from tests.tiny import Case, cases

M45 = str(Path(__file__).parents[1] / "benchmarks" / "peers" / "m45.yaml")
HOME = load_machine("eyeriss_v1").model_copy(update={"homes": {"ofmap": "GLB"}})
POINTWISE = Layer(name="pointwise", K=384, C=64, P=14, Q=14)


@lru_cache
def searched(seed: int, count: int) -> tuple[Case, ...]:
    """So many tiny cases that the mapper searches: one array at most, and a first mapping."""
    found: list[Case] = []
    while len(found) < count:
        found += filter(_is_searched, cases(seed, count))
        seed += 1
    return tuple(found[:count])


def _is_searched(case: Case) -> bool:
    layer, machine = case
    try:
        within_dataflow(Question(layer=layer, machine=machine))
    except MappingError:
        return False
    return layer.weighted and len(machine.arrays) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("number", range(12))
def test_no_mapping_of_a_tiny_layer_is_below_the_bound(number: int) -> None:
    check_against_all(searched(1, 12)[number])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(60))
def test_no_mapping_of_many_tiny_layers_is_below_the_bound(number: int) -> None:
    check_against_all(searched(100, 60)[number])


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("number", range(4))
def test_more_effort_is_never_worse(number: int, objective: Objective) -> None:
    case = searched(1, 12)[number]
    less, more = (answer(case, objective, effort) for effort in (300, 30_000))
    assert more.value <= less.value
    assert more.lower_bound >= less.lower_bound


@pytest.mark.slow
def test_more_effort_is_never_worse_on_a_larger_machine() -> None:
    case = POINTWISE, load_machine(M45)
    less, more = (answer(case, "edp", effort) for effort in (3_000, 30_000))
    assert more.value <= less.value
    assert more.lower_bound >= less.lower_bound


@pytest.mark.slow
def test_a_pointwise_layer_is_mapped_to_within_a_thousandth_of_the_bound() -> None:
    found = answer((POINTWISE, load_machine(M45)), "energy")
    assert found.value <= 31.84e6
    assert found.gap is not None
    assert found.gap < 1e-3


@pytest.mark.slow
def test_a_strided_pointwise_layer_is_mapped_to_within_a_hundredth_of_the_bound() -> None:
    """Structures are ruled out while nests of them are still looked for."""
    layer = Layer(name="shortcut", K=256, C=128, P=14, Q=14, H=28, W=28, stride_h=2, stride_w=2)
    found = answer((layer, load_machine("eyeriss_v1")), "edp", 2_000_000)
    assert found.gap is not None
    assert found.gap < 0.01


@pytest.mark.slow
def test_psums_that_many_pes_begin_are_bounded_closely() -> None:
    """Six PEs share a psum of the best mapping, in six visits each."""
    layer = Layer(name="projection", K=64, C=384, P=14, Q=14)
    found = answer((layer, load_machine("eyeriss_v1")), "edp", 2_000_000)
    assert found.gap is not None
    assert found.gap < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_window_may_slide_where_no_memory_keeps_it(objective: Objective) -> None:
    layer = Layer(name="window", P=4, R=3, H=7, W=1, stride_h=2, pad_h=1)
    bare = machines.machine(machines.dram_level(), machines.GRID)
    found = answer((layer, bare), objective)
    assert found.lower_bound <= least(layer, bare)[objective][0] * (1 + ROUNDING)


@pytest.mark.slow
def test_a_mapping_found_by_another_search_is_not_below_the_bound() -> None:
    """Found by enumerating PE tiles first; 0.03 % better than what this search ends with."""
    known = Mapping.from_yaml(
        [
            {"store": "DRAM", "tensors": ["ifmap", "weight", "ofmap"]},
            *({"for": dim, "tile": 1} for dim in "PQ"),
            {"for": "K", "tile": 64, "axis": "X"},
            {"for": "C", "tile": 33, "axis": "X"},
            {"for": "C", "tile": 3, "axis": "Y"},
            {"store": "spad", "tensors": ["weight"]},
            {"store": "spad", "tensors": ["ifmap"]},
            {"for": "K", "tile": 1},
            {"store": "spad", "tensors": ["ofmap"]},
            {"for": "C", "tile": 1},
        ]
    )
    machine = load_machine(M45)
    validate(known, POINTWISE, machine)
    found = answer((POINTWISE, machine), "energy")
    assert found.lower_bound <= cost(POINTWISE, known, machine).energy_pj


def test_all_places_may_be_taken_though_the_last_ones_idle() -> None:
    """Seven channels go through in one step on 3 by 3 places, and on no fewer."""
    layer = Layer(name="ragged", K=7, C=2)
    array = machines.GRID.model_copy(update={"axes": {"X": 3, "Y": 3}})
    bare = machines.machine(machines.dram_level(), array)
    sized, channels = numbers(layer, bare), DIMS.index("K")
    shape = form(
        structures(bare, layer.tensors, windows(layer))[0], layer, bare, (-1,), timed=False
    )
    ways = dimension_ways(sized, shape, channels).rows
    assert any(way[PLACES] == 9 and way[CHUNK] == 1 for way in ways)


@pytest.mark.slow
def test_what_a_dataflow_finds_is_not_below_the_bound() -> None:
    layer = Layer(name="dot", K=8, R=5, S=5, stride_h=2, stride_w=2)
    asked = Question(layer=layer, machine=load_machine(M45), objective="cycles")
    known = within_dataflow(replace(asked, constraints=Constraints(dataflow="no_local_reuse")))
    assert best(replace(asked, effort=EFFORT)).lower_bound <= known.value


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"max_cycles": 10**9}, "max_cycles = 1000000000 is no limit that it knows"),
        ({"machine": HOME}, "knows no tensors that stay in GLB"),
        ({"layer": Layer(name="sum", op=Op.ADD, K=4, P=3, Q=2)}, "knows no add layers"),
    ],
)
def test_what_the_search_does_not_know_is_refused(change: dict[str, Any], reason: str) -> None:
    asked = Question(layer=POINTWISE, machine=load_machine("eyeriss_v1"), effort=5)
    with pytest.raises(MappingError, match=f"effort = 5: .*{reason}"):
        best(replace(asked, **change))


def test_a_machine_of_too_many_stores_is_refused() -> None:
    dram, glb, *inner = load_machine(M45).hierarchy
    assert isinstance(glb, MemoryLevel)
    buffers = [glb.model_copy(update={"level": f"GLB{at}"}) for at in range(3)]
    deep = machines.machine(dram, *buffers, *inner)
    assert most_stores(deep, POINTWISE.tensors) == (10, 3)
    with pytest.raises(MappingError, match="knows 8 stores above the array and 6 within"):
        best(Question(layer=POINTWISE, machine=deep, effort=5))
