"""A user's own mapping is judged, and each of its faults has a line."""

import json
from pathlib import Path

import pytest

from hwsim.compulsory import least
from hwsim.layer_text import read, words
from hwsim.mapping import Loop, Mapping, Store, faults
from hwsim.simulate import best_mapping
from hwsim.workload import TENSORS, Layer
from tests import machines
from tests.map_verb.asking import EYERISS, SMALL, Invoke, StandIn, complaints, saved


def test_your_own_mapping_is_judged(invoke: Invoke, mapper: StandIn) -> None:
    layer = read(words(SMALL))
    mapping, found = best_mapping(layer, EYERISS, objective="energy")
    own = saved(mapping.to_yaml())
    said = json.loads(
        invoke("--layer", SMALL, "--mapping", own, "--objective", "energy", "--json").stdout
    )
    assert mapper.asked == []
    assert (said["value"], said["cycles"]) == (found.energy_pj, found.cycles)
    assert said["lower_bound"] == least(layer, EYERISS).energy_pj < said["value"]
    assert said["evaluated"] == 1
    assert "evaluated" not in invoke("--layer", SMALL, "--mapping", own).stdout


def test_what_was_printed_or_written_reads_back(invoke: Invoke) -> None:
    printed = invoke("--layer", SMALL, "--json", "--out", "there").stdout
    Path("found.json").write_text(printed, encoding="utf-8")
    for own in ("found.json", "there/mapping.yaml"):
        again = json.loads(invoke("--layer", SMALL, "--mapping", own, "--json").stdout)
        assert again["value"] == json.loads(printed)["value"]


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([{"store": "DRAM"}, {"four": "K"}], ["mapping[0] = ", "mapping[1] = "]),
        (
            [
                {"store": "attic", "tensors": ["ifmap"]},
                {"for": "Z", "tile": 1},
                {"for": "K", "tile": 9},
            ],
            ["Z in tiles of 1", "K in tiles of 9", "no loop goes through", "no level 'attic'"],
        ),
        ([{"for": d, "tile": 1} for d in "KCPQRS"], [f"must keep {tensor}" for tensor in TENSORS]),
        ({"mappings": []}, ["mapping = 'NoneType': must be a list of records"]),
        ("K", ["mapping = 'str': must be a list of records"]),
    ],
)
def test_each_fault_of_a_mapping_has_its_line(
    invoke: Invoke, records: object, said: list[str]
) -> None:
    found = complaints(invoke("--layer", SMALL, "--mapping", saved(records)))
    assert all(line.startswith("mine.yaml: ") for line in found)
    for part in said:
        assert sum(part in line for line in found) == 1, (part, found)


def test_a_missing_mapping(invoke: Invoke) -> None:
    (found,) = complaints(invoke("--layer", SMALL, "--mapping", "gone.yaml"))
    assert found == "gone.yaml: cannot be read: No such file or directory"


def test_a_mapping_that_breaks_a_constraint(invoke: Invoke) -> None:
    mapping, _ = best_mapping(read(words(SMALL)), EYERISS)
    own = saved(mapping.to_yaml())
    saved({"tiles": {"spad": {"K": 1}}}, "rules.yaml")
    (found,) = complaints(invoke("--layer", SMALL, "--mapping", own, "--constraints", "rules.yaml"))
    assert found.startswith("mine.yaml: tiles.spad.K: ")


def test_faults_of_every_axis_and_level_are_listed() -> None:
    """Two axes that do not exist, then two memories that are too small."""
    layer = Layer(name="conv", K=100, C=100)
    start, where = Store("DRAM", TENSORS), machines.machine()
    unknown = Mapping((start, Loop("K", 1, "U"), Loop("C", 1, "V")))
    assert faults(unknown, layer, where) == [
        "made up has no axis 'U'",
        "made up has no axis 'V'",
    ]
    large = Mapping((start, Store("spad", TENSORS), Loop("K", 1), Loop("C", 1)))
    assert faults(large, layer, where) == [
        "spad: ifmap 1600 bits exceed 192",
        "spad: weight 160000 bits exceed 768",
        "spad: ofmap 1600 bits exceed 128",
    ]
