"""`hwsim map`: what it answers, writes and explains, and a line for each thing that is wrong.

The mapper is a stand-in that answers a mapping of the machine's own dataflow, so that what is
tested here is what the verb makes of an answer.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from hwsim import mapped
from hwsim.cli import app
from hwsim.compulsory import least
from hwsim.constraints import Constraints, admits
from hwsim.cost import cost
from hwsim.errors import MappingError
from hwsim.explain import fills, nest
from hwsim.found import Found, Question
from hwsim.hardware import Accelerator, load_machine
from hwsim.interchange import timeloop
from hwsim.layer_text import read, words
from hwsim.mapping import Loop, Mapping, Store, faults, validate
from hwsim.mapping_cache import VARIABLE
from hwsim.objective import Objective, value
from hwsim.reuse import access_counts
from hwsim.simulate import best_mapping, search
from hwsim.workload import TENSORS, Layer
from tests import machines

SHAPE = "N=1 K=64 C=64 P=56 Q=28 R=3 S=3"
SMALL = "K=8 C=4 P=6 Q=5 R=3 S=2"
WIDE = "K=64 C=64 P=56 Q=56 R=3 S=3"  # the fastest mapping is not the one of least energy
EYERISS = load_machine("eyeriss_v1")
Invoke = Callable[..., Result]


class StandIn:
    """Answers as the mapper does, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Question] = []

    def search(self, question: Question) -> Found:
        self.asked.append(question)
        if question.constraints.dataflow == "input_stationary":
            raise MappingError("the constraints exclude every mapping")
        mapping, found = best_mapping(question.layer, question.machine)
        best = value(question.objective, found.energy_pj, found.cycles)
        return Found(
            mapping=mapping,
            cost=found,
            objective=question.objective,
            value=best,
            lower_bound=best * 0.98,
            evaluated=1234,
            seconds=0.25,
        )

    def front(
        self, layer: Layer, machine: Accelerator, *, constraints: Constraints
    ) -> tuple[Found, ...]:
        goals: tuple[Objective, ...] = "cycles", "energy"
        questions = (
            Question(layer=layer, machine=machine, objective=goal, constraints=constraints)
            for goal in goals
        )
        return tuple(map(self.search, questions))


@pytest.fixture
def mapper(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """In the mapper's place."""
    found = StandIn()
    monkeypatch.setattr(mapped, "ask", found.search)
    monkeypatch.setattr(mapped, "front", found.front)
    return found


@pytest.fixture
def invoke(plainly: Invoke, mapper: StandIn) -> Invoke:
    """Runs `hwsim map` in an empty folder, with the stand-in."""
    return plainly


@pytest.fixture
def plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs `hwsim map` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["map", *arguments], catch_exceptions=False)

    return call


def complaints(result: Result) -> list[str]:
    """The lines of a run that failed as bad input does, and wrote nothing."""
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert not list(Path().rglob("*.png"))
    found = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    assert lines[-len(found) :] == [f"error: {line}" for line in found]
    return found


def saved(records: object, name: str = "mine.yaml") -> str:
    Path(name).write_text(yaml.safe_dump(records), encoding="utf-8")
    return name


# Answers


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
    assert [asked.effort for asked in mapper.asked] == [7000]


def test_the_whole_space_is_searched() -> None:
    layer = read(words("K=6 C=5 P=4"))
    asked = Question(layer=layer, machine=EYERISS, objective="energy")
    dataflow, whole = search(asked), search(replace(asked, effort=50_000))
    assert whole.value <= dataflow.value
    assert dataflow.lower_bound <= whole.lower_bound <= whole.value


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


# The mapper itself


def test_the_best_of_the_machines_dataflow(plainly: Invoke) -> None:
    said = json.loads(plainly("--layer", SMALL, "--machine", "eyeriss_v1", "--json").stdout)
    mapping, found = best_mapping(read(words(SMALL)), EYERISS)
    assert Mapping.from_yaml(said["mapping"]) == mapping
    assert (said["energy_pj"], said["cycles"]) == (found.energy_pj, found.cycles)
    assert said["lower_bound"] == least(read(words(SMALL)), EYERISS).value("edp") < said["value"]
    assert said["evaluated"] > 1


def test_limits_and_constraints_are_kept(plainly: Invoke) -> None:
    asked = "--layer", WIDE, "--objective", "energy", "--json"
    free = json.loads(plainly(*asked).stdout)
    most = free["cycles"] - 1
    quicker = json.loads(plainly(*asked, "--max-cycles", str(most)).stdout)
    assert quicker["cycles"] <= most
    assert quicker["energy_pj"] > free["energy_pj"]
    rules = Constraints(tiles={"spad": {"K": 12}})
    saved(rules.model_dump(mode="json", exclude_defaults=True), "rules.yaml")
    ruled = json.loads(plainly(*asked, "--constraints", "rules.yaml").stdout)
    layer = read(words(WIDE))
    assert not admits(rules, Mapping.from_yaml(free["mapping"]), layer, EYERISS)
    assert admits(rules, Mapping.from_yaml(ruled["mapping"]), layer, EYERISS)
    assert ruled["energy_pj"] > free["energy_pj"]


def test_what_nothing_obeys_is_said(plainly: Invoke) -> None:
    (found,) = complaints(plainly("--layer", SMALL, "--max-cycles", "3"))
    assert found.endswith(" cycles on eyeriss_v1, more than max_cycles = 3")
    saved({"tiles": {"spad": {"S": 1}}}, "rules.yaml")
    (found,) = complaints(plainly("--layer", SMALL, "--constraints", "rules.yaml"))
    assert found == (
        "layer 'layer': the constraints exclude every row_stationary mapping on eyeriss_v1"
    )


def test_the_front_of_the_dataflow(plainly: Invoke) -> None:
    found = json.loads(plainly("--layer", WIDE, "--front", "--json").stdout)["front"]
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
    first, second = (json.loads(plainly("--layer", SMALL, "--json").stdout) for _ in range(2))
    assert (first.pop("cached"), second.pop("cached")) == (False, True)
    assert first == second
    assert "in an earlier run" in plainly("--layer", SMALL).stdout


# A user's own mapping


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


# Files


def test_the_folder_holds_mapping_and_plot(invoke: Invoke) -> None:
    result = invoke("--layer", SMALL, "--out", "there", "--samples", "20")
    assert result.exit_code == 0
    assert {path.name for path in Path("there").iterdir()} == {
        "mapping.yaml",
        "mapping_space.png",
        "mapping_space.svg",
    }
    assert "20 random mappings" not in result.stdout
    again = invoke("--layer", SMALL, "--out", "again", "--samples", "20")
    assert again.exit_code == 0
    for path in Path("there").iterdir():
        assert Path("again", path.name).read_bytes() == path.read_bytes()


def test_a_front_writes_each_mapping(invoke: Invoke) -> None:
    invoke("--layer", SMALL, "--out", "there", "--front", "--samples", "20")
    names = {path.name for path in Path("there").glob("*.yaml")}
    assert names == {"mapping_1.yaml", "mapping_2.yaml"}


def test_exported_mappings_read_back(invoke: Invoke) -> None:
    text = "K=8 C=4 P=6 Q=5"
    layer = read(words(text))
    records: list[dict[str, Any]] = [
        {"store": "DRAM", "tensors": list(TENSORS)},
        {"for": "K", "tile": 4},
        {"store": "GLB", "tensors": list(TENSORS)},
        {"for": "C", "tile": 1, "axis": "X"},
        {"for": "P", "tile": 2, "axis": "Y"},
        {"for": "Q", "tile": 1},
        {"store": "spad", "tensors": list(TENSORS)},
        {"for": "K", "tile": 1},
        {"for": "P", "tile": 1},
    ]
    own = saved(records)
    found = invoke(
        *("--layer", text, "--mapping", own, "--samples", "5"),
        *("--export", "timeloop", "--export", "zigzag"),
    )
    assert found.exit_code == 0, found.stderr
    folder = Path("results/layer_on_eyeriss_v1")
    written = yaml.safe_load((folder / "mapping.timeloop.yaml").read_text(encoding="utf-8"))
    mapping = timeloop.read(written["mapping"], layer, EYERISS)
    shared = EYERISS.shared
    assert access_counts(layer, mapping, shared=shared) == access_counts(
        layer, Mapping.from_yaml(records), shared=shared
    )
    (zigzag,) = yaml.safe_load((folder / "mapping.zigzag.yaml").read_text(encoding="utf-8"))
    assert zigzag["spatial_mapping"] == {"D1": ["C, 4"], "D2": ["OY, 3"]}
    assert prod(factor for _, factor in zigzag["temporal_ordering"]) == 8 * 2 * 5


def test_what_a_form_cannot_say_is_said(invoke: Invoke) -> None:
    (found,) = complaints(invoke("--layer", SHAPE, "--export", "timeloop"))
    assert found.startswith("--export timeloop: ")
    assert not Path("results").exists()


# Complaints


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--layer", "K=8 M=4"], "--layer: M = '4': unknown key"),
        (["--layer", SMALL, "--stride", "two"], "--layer: stride_h = 'two': must be a whole"),
        (["--layer", SMALL, "--bits", "weights=4"], "weights_bits = '4': unknown key; did you"),
        (["--layer", f"{SMALL} stride=2", "--stride", "2"], "stride = '2': given twice"),
        (["--layer", SMALL, "--bits", "32"], "ifmap of 32 bits is wider than the 16-bit MACs"),
        (["--layer", SMALL, "--machine", "eyeris_v1"], "did you mean 'eyeriss_v1'?"),
        (["--layer", SMALL, "--machine", "mine/chip.yaml"], "mine/chip.yaml: cannot be read"),
        (["--layer", SMALL, "--objective", "power"], "objective = 'power': Input should be 'ene"),
        (["--layer", SMALL, "--max-cycles", "0"], "max_cycles = "),
        (["--layer", SMALL, "--budget-s", "-1"], "budget_s = "),
        (["--layer", SMALL, "--effort", "0"], "effort = "),
        (["--layer", SMALL, "--effort", "5", "--front"], "effort = 5: does not go with --front"),
        (["--layer", SMALL, "--effort", "5", "--max-cycles", "9"], "does not go with --effort"),
        (["--layer", SMALL, "--samples", "0"], "samples = "),
        (["--layer", SMALL, "--dataflow", "free"], "dataflow = 'free': Input should be 'row_st"),
        (["--layer", SMALL, "--export", "maestro"], "export.0 = 'maestro': Input should be 'tim"),
        (["--layer", SMALL, "--constraints", "gone.yaml"], "gone.yaml: cannot be read"),
        (["--layer", SMALL, "--front", "--max-cycles", "9"], "does not go with --front"),
        (["--layer", SMALL, "--mapping", "x", "--budget-s", "9"], "does not go with --mapping"),
        (["--layer", SMALL, "--batch", "2"], "batch = "),
        (["--layer", "conv2", "--network", "alexnett"], "did you mean 'alexnet'?"),
        (["--layer", "conv22", "--network", "alexnet"], "did you mean 'conv2'?"),
        (["--layer", "conv2", "--network", "alexnet", "--pad", "1"], "does not go with --network"),
        (["--layer", SMALL, "--dataflow", "input_stationary"], "exclude every mapping"),
        (
            ["--layer", SMALL, "--machine", "systolic_ws", "--dataflow", "output_stationary"],
            "dataflow = 'output_stationary': the PEs of systolic_ws cannot keep any ofmap",
        ),
    ],
)
def test_one_clear_line(invoke: Invoke, arguments: list[str], said: str) -> None:
    (found,) = complaints(invoke(*arguments))
    assert said in found


def test_a_dataflow_is_named_once(invoke: Invoke) -> None:
    rules = saved({"dataflow": "row_stationary"})
    (found,) = complaints(
        invoke("--layer", SMALL, "--constraints", rules, "--dataflow", "no_local_reuse")
    )
    assert found == "--dataflow: mine.yaml names row_stationary"


def test_results_below_a_file(invoke: Invoke) -> None:
    Path("file").write_text("kept", encoding="utf-8")
    (found,) = complaints(invoke("--layer", SMALL, "--out", "file/inside"))
    assert found.startswith("file/inside: ")


def test_a_layer_is_needed(invoke: Invoke) -> None:
    result = invoke("--machine", "eyeriss_v1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--layer" in result.stderr


def test_help_states_the_padding(invoke: Invoke) -> None:
    said = " ".join(invoke("--help").stdout.split())
    assert "H = (P-1) stride + (R-1) dilation + 1 - 2 pad" in said
    assert "0 unless given" in said


# The explanation's numbers


def test_the_nest_in_words() -> None:
    layer = Layer(name="conv", K=5, C=4, P=3, pad_h=1)
    mapping = Mapping(
        (
            Store("DRAM", TENSORS),
            Loop("K", 2),
            Store("GLB", ("ifmap",)),
            Loop("C", 1, "X"),
            Loop("K", 1),
            Loop("P", 1),
        )
    )
    assert nest(mapping, layer) == (
        "[DRAM keeps ifmap 4, weight 20, ofmap 15 words]\n"
        "for K in 3 tiles of 2, the last of 1\n"
        "  [GLB keeps ifmap 12 words]\n"
        "  over X: C in 4 tiles of 1\n"
        "    for K in 2 tiles of 1\n"
        "      for P in 3 tiles of 1"
    )


def test_how_full_memories_are() -> None:
    glb = machines.sized(machines.GLB, 1024).model_copy(update={"buffering": "double"})
    where = machines.machine(
        machines.dram_level(), machines.glb_level(glb), machines.GRID, machines.spad_level()
    )
    layer = Layer(name="conv", K=4, C=3).at_bits(ifmap=8, weight=4, ofmap=8, psum=20)
    mapping = Mapping(
        (
            Store("DRAM", TENSORS),
            Store("GLB", ("ifmap", "ofmap")),
            Loop("K", 1, "X"),
            Store("spad", ("weight",)),
            Loop("C", 1),
        )
    )
    found = list(fills(mapping, layer, where))
    assert [(fill.level, fill.instances) for fill in found] == [
        ("GLB", 1),
        *[("spad", 12)] * 3,
    ]
    assert found[0].words == {"ifmap": 3, "ofmap": 4}
    assert (found[0].bits, found[0].usable_bits) == (3 * 8 + 4 * 20, 512)
    assert [fill.words for fill in found[1:]] == [{}, {"weight": 3}, {}]
    assert [fill.bits for fill in found[1:]] == [0, 12, 0]
