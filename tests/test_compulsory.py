"""The least that a layer may cost: below every mapping, and met where nothing is moved twice."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwsim.compulsory import least
from hwsim.cost import cost
from hwsim.hardware import Accelerator, MemoryLevel
from hwsim.mapping import Mapping, Store
from hwsim.simulate import accumulated, best_mapping
from hwsim.workload import Layer
from tests.eyeriss import EYERISS
from tests.machines import DATAFLOWS, Case, cases, convs, machine

SIDES = {"DRAM": 0, "GLB": 0, "X": 1, "Y": 1, "Z": 1, "spad": 2, "latch": 2}


def sided(mapping: Mapping) -> bool:
    """Whether the mapping goes through the arrays of `deep_machines` once, from above to below."""
    places = [node.level if isinstance(node, Store) else node.axis for node in mapping]
    sides = [SIDES[place] for place in places if place]
    return sides == sorted(sides)


def forced(found: Accelerator, layer: Layer, mapping: Mapping) -> Accelerator:
    """The machine on which no tensor may bypass a memory that the mapping keeps all of its in."""
    hierarchy = []
    for part in found.hierarchy:
        if isinstance(part, MemoryLevel):
            memories = (
                memory.model_copy(
                    update={
                        "bypass": not all(
                            part.level in dict(mapping.stores(tensor))
                            for tensor in memory.tensors
                            if tensor in layer.tensors
                        )
                    }
                )
                for memory in part.memories
            )
            part = part.model_copy(update={"memories": tuple(memories)})
        hierarchy.append(part)
    fields = {name: getattr(found, name) for name in Accelerator.model_fields}
    return Accelerator(**fields | {"hierarchy": tuple(hierarchy)})


@pytest.mark.slow
@given(cases(timed=True), st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_mapping_costs_less(case: Case, must: bool) -> None:
    layer, mapping, found = case
    assume(sided(mapping))
    layer = accumulated(layer, found)
    if must:
        found = forced(found, layer, mapping)
    bound, actual = least(layer, found), cost(layer, mapping, found)
    assert bound.energy_pj <= actual.energy_pj * (1 + 1e-12)
    assert bound.cycles <= actual.cycles


@given(convs(), st.sampled_from(DATAFLOWS))
@settings(max_examples=20, deadline=None)
def test_no_dataflow_costs_less(layer: Layer, dataflow: str) -> None:
    found = machine(dataflow=dataflow)
    bound = least(layer, found)
    assert bound.energy_pj <= best_mapping(layer, found, objective="energy")[1].energy_pj
    assert bound.cycles <= best_mapping(layer, found, objective="cycles")[1].cycles


def test_on_the_chip_it_is_within_a_tenth_of_a_depthwise_layer() -> None:
    layer = Layer(name="depthwise", G=8, P=14, Q=15, R=3, S=3, pad_h=1, pad_w=1)
    bound, (_, found) = least(layer, EYERISS), best_mapping(layer, EYERISS, objective="energy")
    assert 0.9 * found.energy_pj < bound.energy_pj <= found.energy_pj
