"""What is asked and answered, as tables and as JSON."""

import json
import re

import pytest

from hwsim.constraints import Constraints
from hwsim.cost import cost
from hwsim.found import EFFORT
from hwsim.layer_text import read, words
from hwsim.mapping import Mapping, validate
from hwsim.workload import TENSORS
from tests import machines
from tests.map_verb.asking import EYERISS, SHAPE, SMALL, Invoke, StandIn, saved


def test_json_holds_the_answer(invoke: Invoke) -> None:
    found = json.loads(invoke("--layer", SHAPE, "--machine", "eyeriss_v1", "--json").stdout)
    layer = read(words(found["layer"]))
    assert layer == read(words(SHAPE))
    mapping = Mapping.from_yaml(found["mapping"])
    validate(mapping, layer, EYERISS)
    priced = cost(layer, mapping, EYERISS)
    assert (found["energy_pj"], found["cycles"]) == (priced.energy_pj, priced.cycles)
    assert sum(found["energy_by_component_pj"].values()) == pytest.approx(found["energy_pj"])
    assert found["objective"] == "edp"
    assert found["value"] == priced.energy_pj * priced.cycles
    assert found["lower_bound"] == 0.98 * found["value"]
    assert found["gap"] == pytest.approx(1 / 0.98 - 1)
    assert (found["evaluated"], found["seconds"], found["cached"]) == (1234, 0.25, False)
    assert (found["space"], found["reason"]) == ("whole", None)


def test_the_space_that_was_searched_is_said(invoke: Invoke) -> None:
    asked = "--layer", SMALL
    assert invoke(*asked).stdout.splitlines()[-1] == "searched: all mappings"
    last = invoke(*asked, "--dataflow", "row_stationary").stdout.splitlines()[-1]
    assert last == "searched: the dataflow's mappings; it had to"
    assert invoke(*asked, "--front").stdout.splitlines()[-1] == "searched: all mappings"


def test_the_mapper_is_asked_for_what_was_said(invoke: Invoke, mapper: StandIn) -> None:
    saved({"bypass": {"GLB": ["weight"]}})
    result = invoke(
        *("--layer", "K=8 C=4 P=6 Q=5 R=3 S=2", "--machine", "eyeriss_v1_int8"),
        *("--stride", "2,1", "--dilation", "2", "--pad", "1", "--groups", "3"),
        *("--bits", "8", "--bits", "weight=4", "--density", "ifmap=0.5"),
        *("--objective", "ed2p", "--max-cycles", "9000", "--budget-s", "1.5"),
        *("--constraints", "mine.yaml", "--dataflow", "row_stationary"),
    )
    assert result.exit_code == 0
    (asked,) = mapper.asked
    layer = asked.layer
    assert asked.machine.name == "eyeriss_v1_int8"
    assert (asked.objective, asked.max_cycles, asked.budget_s) == ("ed2p", 9000, 1.5)
    assert asked.constraints == Constraints(dataflow="row_stationary", bypass={"GLB": ("weight",)})
    assert (layer.stride_h, layer.stride_w, layer.dilation_h, layer.pad_w) == (2, 1, 2, 1)
    assert layer.bounds == read(words("G=3 K=8 C=4 P=6 Q=5 R=3 S=2")).bounds
    assert (layer.ifmap.bits, layer.weight.bits, layer.ofmap.bits) == (8, 4, 8)
    assert (layer.ifmap.density, layer.weight.density) == (0.5, 1.0)
    assert (layer.H, layer.W) == (5 * 2 + 2 * 2 + 1 - 2, 4 + 2 + 1 - 2)


def test_the_mapper_is_told_how_much_to_try(invoke: Invoke, mapper: StandIn) -> None:
    assert invoke("--layer", SMALL, "--effort", "7000").exit_code == 0
    assert invoke("--layer", SMALL, "--effort", "0").exit_code == 0
    assert invoke("--layer", SMALL).exit_code == 0
    assert [asked.effort for asked in mapper.asked] == [7000, 0, EFFORT]


def test_words_are_as_wide_as_the_machine(invoke: Invoke, mapper: StandIn) -> None:
    invoke("--layer", SMALL, "--machine", "systolic_ws")
    layer = mapper.asked[0].layer
    assert [layer.tensor(tensor).bits for tensor in TENSORS] == [8, 8, 8]
    assert layer.psum.bits == 32


def test_a_layer_of_a_network(invoke: Invoke, mapper: StandIn) -> None:
    arguments = "--network", "alexnet", "--layer", "conv2", "--batch", "4", "--bits", "8"
    assert invoke(*arguments, "--machine", "eyeriss_v1_int8").exit_code == 0
    layer = mapper.asked[0].layer
    assert (layer.N, layer.K * layer.G, layer.R, layer.pad_h, layer.name) == (4, 256, 5, 2, "conv2")
    assert layer.weight.bits == 8


def test_your_own_machine(invoke: Invoke, mapper: StandIn) -> None:
    mine = machines.machine().model_dump(mode="json", exclude_none=True) | {"name": "mine"}
    assert invoke("--layer", SMALL, "--machine", saved(mine, "chip.yaml")).exit_code == 0
    assert mapper.asked[0].machine.name == "mine"


def test_the_explanation(invoke: Invoke) -> None:
    said = invoke("--layer", SHAPE).stdout
    lines = [line.strip() for line in said.splitlines()]
    assert "[DRAM keeps ifmap 111,360, weight 36,864, ofmap 100,352 words]" in lines
    assert any(re.match(r"over X: P in \d+ tiles of 1", line) for line in lines)
    assert any(re.match(r"spad +168 +weight [\d,]+ +[\d,]+ +3,584 +[\d.]+$", x) for x in lines)
    assert any(re.match(r"DRAM +[\d.]+ +[\d.]+$", line) for line in lines)
    assert any("bound by" in line for line in lines)
    verdict = r"edp .* pJ x cycles; no mapping below .* \(gap 2\.04 %\)"
    assert any(re.match(verdict, line) for line in lines)
    assert "1,234 evaluated in 0.250 s" in lines


def test_the_front(invoke: Invoke) -> None:
    found = json.loads(invoke("--layer", SMALL, "--front", "--json").stdout)["front"]
    assert [each["objective"] for each in found] == ["cycles", "energy"]
    assert all(Mapping.from_yaml(each["mapping"]) for each in found)
    said = invoke("--layer", SMALL, "--front").stdout
    assert f"{found[0]['cycles']:,}" in said
