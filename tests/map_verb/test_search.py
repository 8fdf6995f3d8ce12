"""The mappers behind the verb: bounds, limits, constraints, fronts, what is found again."""

import json
from pathlib import Path

import pytest

from hwsim.compulsory import least
from hwsim.constraints import Constraints, admits
from hwsim.layer_text import read, words
from hwsim.mapping import Mapping
from hwsim.mapping_cache import VARIABLE
from hwsim.simulate import best_mapping
from tests.map_verb.asking import DEPTHWISE, EYERISS, SMALL, WIDE, Invoke, complaints, saved

DATAFLOW = "--effort", "0"


@pytest.mark.slow
def test_all_mappings_are_searched(plainly: Invoke) -> None:
    asked = "--layer", DEPTHWISE, "--machine", "systolic_ws", "--objective", "energy", "--json"
    alone, found = json.loads(plainly(*asked, *DATAFLOW).stdout), json.loads(plainly(*asked).stdout)
    assert (alone["space"], alone["reason"]) == ("dataflow", None)
    assert (found["space"], found["reason"]) == ("whole", None)
    assert found["value"] < alone["value"]
    assert alone["lower_bound"] <= found["lower_bound"] <= found["value"]


def test_what_the_search_does_not_know_falls_back_to_the_dataflow(plainly: Invoke) -> None:
    asked = "--layer", "op=pool G=6 P=5 Q=5 R=2 S=2"
    found = json.loads(plainly(*asked, "--json").stdout)
    known = json.loads(plainly(*asked, "--json", *DATAFLOW).stdout)
    assert (found["space"], found["value"]) == ("dataflow", known["value"])
    assert found["reason"] == "the search of all mappings knows no pool layers"
    assert "searched: the dataflow's mappings; the search of all" in plainly(*asked).stdout
    (said,) = complaints(plainly(*asked, "--effort", "9"))
    assert said == f"effort = 9: {found['reason']}"


@pytest.mark.slow
def test_an_effort_that_is_too_little_is_said(plainly: Invoke) -> None:
    found = json.loads(plainly("--layer", SMALL, "--effort", "9", "--json").stdout)
    known = json.loads(plainly("--layer", SMALL, "--json", *DATAFLOW).stdout)
    assert (found["space"], found["value"]) == ("dataflow", known["value"])
    assert found["reason"] == "effort = 9 is too little to search all mappings"
    assert found["lower_bound"] == known["lower_bound"]


def test_the_best_of_the_machines_dataflow(plainly: Invoke) -> None:
    said = json.loads(plainly("--layer", SMALL, *DATAFLOW, "--json").stdout)
    mapping, found = best_mapping(read(words(SMALL)), EYERISS)
    assert Mapping.from_yaml(said["mapping"]) == mapping
    assert (said["energy_pj"], said["cycles"]) == (found.energy_pj, found.cycles)
    assert said["lower_bound"] == least(read(words(SMALL)), EYERISS).value("edp") < said["value"]
    assert said["evaluated"] > 1


def test_limits_and_constraints_are_kept(plainly: Invoke) -> None:
    asked = "--layer", WIDE, "--objective", "energy", "--json"
    free = json.loads(plainly(*asked, *DATAFLOW).stdout)
    most = free["cycles"] - 1
    quicker = json.loads(plainly(*asked, *DATAFLOW, "--max-cycles", str(most)).stdout)
    assert quicker["cycles"] <= most
    assert quicker["energy_pj"] > free["energy_pj"]
    rules = Constraints(tiles={"spad": {"K": 12}})
    saved(rules.model_dump(mode="json", exclude_defaults=True), "rules.yaml")
    ruled = json.loads(plainly(*asked, *DATAFLOW, "--constraints", "rules.yaml").stdout)
    layer = read(words(WIDE))
    assert not admits(rules, Mapping.from_yaml(free["mapping"]), layer, EYERISS)
    assert admits(rules, Mapping.from_yaml(ruled["mapping"]), layer, EYERISS)
    assert ruled["energy_pj"] > free["energy_pj"]
    assert (ruled["space"], ruled["reason"]) == ("dataflow", None)


@pytest.mark.slow
def test_the_search_keeps_constraints(plainly: Invoke) -> None:
    asked = "--layer", SMALL, "--constraints", "rules.yaml", "--json"
    rules = Constraints(tiles={"spad": {"S": 1}})
    saved(rules.model_dump(mode="json", exclude_defaults=True), "rules.yaml")
    found = json.loads(plainly(*asked).stdout)
    assert (found["space"], found["reason"]) == ("whole", None)
    assert admits(rules, Mapping.from_yaml(found["mapping"]), read(words(SMALL)), EYERISS)


@pytest.mark.slow
def test_all_mappings_of_one_dataflow_are_searched(plainly: Invoke) -> None:
    asked = "--layer", SMALL, "--dataflow", "weight_stationary", "--json"
    found, offered = (json.loads(plainly(*asked, *more).stdout) for more in ((), DATAFLOW))
    assert (found["space"], found["reason"]) == ("whole", None)
    assert (offered["space"], offered["reason"]) == ("dataflow", None)
    assert found["lower_bound"] <= found["value"] < offered["value"]
    rules = Constraints(dataflow="weight_stationary")
    assert admits(rules, Mapping.from_yaml(found["mapping"]), read(words(SMALL)), EYERISS)


def test_what_nothing_obeys_is_said(plainly: Invoke) -> None:
    (found,) = complaints(plainly("--layer", SMALL, *DATAFLOW, "--max-cycles", "3"))
    assert found.endswith(" cycles on eyeriss_v1, more than max_cycles = 3")
    saved({"tiles": {"spad": {"S": 1}}}, "rules.yaml")
    (found,) = complaints(plainly("--layer", SMALL, *DATAFLOW, "--constraints", "rules.yaml"))
    assert found == (
        "layer 'layer': the constraints exclude every row_stationary mapping on eyeriss_v1"
    )


def test_the_front_of_the_dataflow(plainly: Invoke) -> None:
    found = json.loads(plainly("--layer", WIDE, *DATAFLOW, "--front", "--json").stdout)["front"]
    assert len(found) > 1
    cycles, energies = ([each[key] for each in found] for key in ("cycles", "energy_pj"))
    assert cycles == sorted(set(cycles))
    assert energies == sorted(set(energies), reverse=True)
    layer = read(words(WIDE))
    assert cycles[0] == best_mapping(layer, EYERISS, objective="cycles")[1].cycles
    assert energies[-1] == best_mapping(layer, EYERISS, objective="energy")[1].energy_pj


def test_an_answer_is_found_again(
    plainly: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    asked = "--layer", SMALL, *DATAFLOW
    first, second = (json.loads(plainly(*asked, "--json").stdout) for _ in range(2))
    assert (first.pop("cached"), second.pop("cached")) == (False, True)
    assert first == second
    assert "in an earlier run" in plainly(*asked).stdout
