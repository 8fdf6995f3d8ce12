"""What each constraint means, by cases written by hand and by the dataflows' own nests."""

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from hwsim.config import parse
from hwsim.constraints import (
    FREE,
    Constraints,
    admits,
    breach,
    check,
    load_constraints,
)
from hwsim.dataflow_rules import RULES, Dataflow
from hwsim.dataflows._parts import inner_levels
from hwsim.errors import ConfigError
from hwsim.hardware import Memory, load_machine
from hwsim.map_space import sampled
from hwsim.mapping import Loop, Mapping, Node, Store, validate
from hwsim.registry import hook, module, names
from hwsim.reuse import access_counts
from hwsim.workload import TENSORS, Layer, Op
from tests import machines

LAYER = Layer(name="conv", N=2, K=4, C=6, P=3, Q=5, R=3, S=2, stride_w=2)
MACHINE = machines.machine()
DRAM, GLB = Store("DRAM", TENSORS), Store("GLB", TENSORS)
PADS: dict[str, Store] = {tensor: Store("spad", (tensor,)) for tensor in TENSORS}

# K and C from pass to pass, K over X, R over Y; PEs keep weights, and slide along N and Q.
WEIGHTS: tuple[Node, ...] = (
    *(DRAM, Loop("N", 1), Loop("P", 1), GLB, Loop("K", 2), Loop("C", 2)),
    *(Loop("K", 1, "X"), Loop("R", 1, "Y"), PADS["weight"]),
    *(Loop("Q", 1), PADS["ifmap"], PADS["ofmap"], Loop("S", 1), Loop("C", 1)),
)
OUTPUTS: tuple[Node, ...] = (
    *(DRAM, Loop("K", 1), GLB, Loop("N", 1), Loop("P", 1), Loop("Q", 3), Loop("Q", 1, "X")),
    *(PADS["ofmap"], Loop("C", 1), Loop("R", 1), Loop("S", 1), PADS["weight"], PADS["ifmap"]),
)
INPUTS: tuple[Node, ...] = (
    *(DRAM, Loop("K", 2), GLB, Loop("N", 1), Loop("P", 1), Loop("Q", 1), Loop("R", 1)),
    *(Loop("C", 2, "Y"), PADS["ifmap"], Loop("K", 1), PADS["ofmap"], Loop("C", 1), Loop("S", 1)),
    PADS["weight"],
)
BUFFERED_WEIGHTS = (
    *(DRAM, Store("GLB", ("weight",)), Loop("N", 1), Loop("P", 1)),
    *(Store("GLB", ("ifmap", "ofmap")), *WEIGHTS[4:]),
)
BARE: tuple[Node, ...] = (DRAM, GLB, *(Loop(dim, 1) for dim in "NKCPQRS"))
NESTS = {"WEIGHTS": WEIGHTS, "OUTPUTS": OUTPUTS, "INPUTS": INPUTS, "BARE": BARE}
GIVEN = {
    "dataflow": "weight_stationary",
    "bypass": {"GLB": ["weight"]},
    "keep": {"spad": ["ifmap", "ofmap"]},
    "spatial": {"X": ["K", "P"], "Y": []},
    "tiles": {"spad": {"Q": 1, "S": 2}},
}


def swapped(nodes: tuple[Node, ...], first: int, second: int) -> tuple[Node, ...]:
    found = list(nodes)
    found[first], found[second] = found[second], found[first]
    return tuple(found)


def broken(nodes: tuple[Node, ...], layer: Layer = LAYER, **given: Any) -> str | None:
    """What a valid mapping breaks of constraints that the machine could obey."""
    constraints = parse(given, Constraints, file="here")
    check(constraints, MACHINE)
    validate(Mapping(nodes), layer, MACHINE)
    found = breach(constraints, Mapping(nodes), layer, MACHINE)
    assert admits(constraints, Mapping(nodes), layer, MACHINE) == (found is None)
    return found


# Bypass, keep, space and tiles


@pytest.mark.parametrize("name", NESTS)
def test_without_constraints_all_goes(name: str) -> None:
    assert broken(NESTS[name]) is None


def test_bypass_and_keep() -> None:
    assert broken(BARE, bypass={"spad": ["ifmap", "weight"]}) is None
    assert broken(WEIGHTS, bypass={"spad": ["weight"]}) == "bypass.spad: weight is kept there"
    assert broken(WEIGHTS, keep={"spad": ["weight"], "GLB": ["ofmap"]}) is None
    assert broken(BARE, keep={"GLB": ["ifmap"], "spad": ["ofmap"]}) == (
        "keep.spad: ofmap bypasses it"
    )


def test_dimensions_of_an_axis() -> None:
    assert broken(WEIGHTS, spatial={"X": ["K"], "Y": ["C", "R"]}) is None
    assert broken(WEIGHTS, spatial={"X": ["K"]}) is None, "an axis that is not named is free"
    assert broken(WEIGHTS, spatial={"Y": ["C"]}) == "spatial.Y: R is spread over it"
    assert broken(WEIGHTS, spatial={"X": []}) == "spatial.X: K is spread over it"


def test_a_loop_of_one_trip_spreads_nothing() -> None:
    idle = (*WEIGHTS[:6], Loop("N", 1, "X"), *WEIGHTS[6:])
    assert broken(idle, spatial={"X": ["K"]}) is None


def test_tiles_are_those_of_tensors_that_have_the_dimension() -> None:
    assert broken(WEIGHTS, tiles={"spad": {"Q": 1}}) is None, "weights, kept for all Q, have none"
    assert broken(WEIGHTS, tiles={"spad": {"C": 1}}) == (
        "tiles.spad.C: ifmap's tile is 2, more than 1"
    )
    assert broken(WEIGHTS, tiles={"GLB": {"K": 4, "Q": 4}}) == (
        "tiles.GLB.Q: ifmap's tile is 5, more than 4"
    )


def test_tensors_that_a_layer_lacks_are_passed_over() -> None:
    pool = Layer(name="pool", op=Op.POOL, Q=4, S=2)
    nest = (Store("DRAM", ("ifmap", "ofmap")), Loop("Q", 1), Loop("S", 1))
    assert broken(nest, pool, keep={"GLB": ["weight"]}, dataflow="weight_stationary") is None


# Dataflows


@pytest.mark.parametrize(
    ("dataflow", "nodes"),
    [
        ("weight_stationary", WEIGHTS),
        ("output_stationary", OUTPUTS),
        ("input_stationary", INPUTS),
        ("row_stationary", WEIGHTS),
        ("no_local_reuse", BARE),
        # N and P go around K and C, but from pass to pass.
        ("weight_stationary", swapped(WEIGHTS, 1, 2)),
        # A loop just outside the PE's weights leaves them where they are.
        ("weight_stationary", (*WEIGHTS[:2], GLB, *WEIGHTS[4:8], Loop("P", 1), *WEIGHTS[8:])),
        ("output_stationary", (*OUTPUTS[:7], Loop("C", 2), *OUTPUTS[7:])),
        ("row_stationary", (*WEIGHTS[:8], Loop("Q", 1), *WEIGHTS[8:9], *WEIGHTS[10:])),
        # Several ofmap rows, one after the other, under the same filter row.
        ("row_stationary", (*WEIGHTS[:2], *WEIGHTS[3:9], Loop("P", 1), *WEIGHTS[9:])),
        # Buffered weights do not begin a pass of theirs, which P then goes around.
        ("weight_stationary", BUFFERED_WEIGHTS),
    ],
)
def test_what_a_dataflow_admits(dataflow: str, nodes: tuple[Node, ...]) -> None:
    assert broken(nodes, dataflow=dataflow) is None


@pytest.mark.parametrize(
    ("dataflow", "nodes", "why"),
    [
        ("weight_stationary", BARE, "no PE keeps weight"),
        ("weight_stationary", OUTPUTS, "weight returns to a PE, as Q goes around C"),
        # Strips of P within a pass: the GLB's store comes before them.
        ("weight_stationary", swapped(WEIGHTS, 2, 3), "weight returns to a PE, as P goes around K"),
        ("output_stationary", WEIGHTS, "ofmap returns to a PE, as C goes around Q"),
        # Not within the pass, but psums leave for DRAM.
        (
            "output_stationary",
            (DRAM, Loop("C", 3), *OUTPUTS[1:]),
            "ofmap returns to a PE, as C goes around K",
        ),
        ("input_stationary", swapped(INPUTS, 1, 2), "ifmap returns to a PE, as K goes around N"),
        ("input_stationary", BARE, "no PE keeps ifmap"),
        ("row_stationary", OUTPUTS, "spatial.X: Q is spread over it"),
        ("row_stationary", BARE, "no PE keeps ifmap"),
        ("no_local_reuse", WEIGHTS, "bypass.spad: ifmap is kept there"),
    ],
)
def test_what_a_dataflow_excludes(dataflow: str, nodes: tuple[Node, ...], why: str) -> None:
    assert broken(nodes, dataflow=dataflow) == f"dataflow: not {dataflow}: {why}"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({3: (GLB, Loop("Q", 1)), 9: ()}, "weight returns to a PE, as Q goes around K"),
        ({6: (Loop("Q", 2, "X"),), 3: (GLB, Loop("K", 1)), 4: ()}, "X: Q is spread over it"),
        ({5: (Loop("S", 1), Loop("C", 2)), 12: ()}, "ofmap returns to a PE, as S goes around Q"),
        ({7: (Loop("S", 1, "Y"),), 12: (Loop("R", 1),)}, "Y: S is spread over it"),
        ({7: (), 12: (Loop("R", 1), Loop("S", 1))}, "tiles.spad.R: ifmap's tile is 3"),
        ({2: (), 11: (PADS["ofmap"], Loop("P", 1))}, "tiles.spad.P: ifmap's tile is 3"),
        ({10: ()}, "no PE keeps ifmap"),
    ],
)
def test_what_row_stationary_excludes(change: dict[int, tuple[Node, ...]], why: str) -> None:
    nodes = [node for at, old in enumerate(WEIGHTS) for node in change.get(at, (old,))]
    assert why in str(broken(tuple(nodes), dataflow="row_stationary"))


def test_no_local_reuse_keeps_a_word_of_what_may_not_bypass() -> None:
    forced = (
        pad.model_copy(update={"bypass": "weight" not in pad.tensors}) for pad in machines.PADS
    )
    where = machines.machine(*MACHINE.hierarchy[:-1], machines.spad_level(*forced))
    constraints = Constraints(dataflow="no_local_reuse")
    words = Mapping((*BARE, PADS["weight"]))
    validate(words, LAYER, where)
    assert admits(constraints, words, LAYER, where)
    more = Mapping((*BARE[:-1], PADS["weight"], BARE[-1]))
    assert str(breach(constraints, more, LAYER, where)).endswith(
        "tiles.spad.S: weight's tile is 2, more than 1"
    )
    others = Mapping((*BARE, PADS["ifmap"], PADS["weight"]))
    assert str(breach(constraints, others, LAYER, where)).endswith(
        "bypass.spad: ifmap is kept there"
    )


def test_every_dataflow_has_a_rule() -> None:
    assert set(RULES) == set(get_args(Dataflow))


LAYERS = (
    Layer(name="conv", G=2, K=12, C=6, P=9, Q=7, R=5, S=3, N=2, stride_h=2),
    Layer(name="linear", op=Op.LINEAR, K=100, C=200),
    Layer(name="depthwise", G=32, P=28, Q=30, R=3, S=3),
)


STATIONARY = {
    "row_stationary": "weight",
    "weight_stationary": "weight",
    "output_stationary": "ofmap",
    "input_stationary": "ifmap",
}


@pytest.mark.parametrize("machine", names("machine"))
@pytest.mark.parametrize("dataflow", get_args(Dataflow))
def test_every_nest_of_a_dataflow_obeys_it(machine: str, dataflow: Dataflow) -> None:
    where, constraints = load_machine(machine), Constraints(dataflow=dataflow)
    stationary = STATIONARY.get(dataflow)
    if stationary and not any(level.memory(stationary) for level in inner_levels(where)):
        with pytest.raises(ConfigError, match=f"cannot keep any {stationary}"):
            check(constraints, where)
        return
    check(constraints, where)
    for layer in LAYERS:
        narrow = layer.at_bits(ifmap=8, weight=8, ofmap=8, psum=where.mac.psum_bits)
        nests: Any = hook(module("dataflow", dataflow), "mappings")(narrow, where)
        for nest in nests:
            assert breach(constraints, nest, narrow, where) is None


# Files


def written(folder: Path, given: object) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(given), encoding="utf-8")
    return path


def test_a_file_loads(tmp_path: Path) -> None:
    found = load_constraints(written(tmp_path, GIVEN), MACHINE)
    assert found == parse(GIVEN, Constraints, file="here")
    assert found.spatial == {"X": ("K", "P"), "Y": ()}
    assert load_constraints(written(tmp_path, {}), MACHINE) == FREE


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"datflow": "x"}, "datflow = 'x': unknown key; did you mean 'dataflow'"),
        ({"dataflow": "free"}, "dataflow = 'free': Input should be 'row_stationary'"),
        ({"bypass": {"GLB": ["weights"]}}, "bypass.GLB.0 = 'weights'"),
        ({"bypass": {"GBL": ["weight"]}}, "bypass.GBL = .*: unknown level 'GBL' .*mean 'GLB'"),
        ({"keep": {"RF": ["weight"]}}, "keep.RF = .*: unknown level 'RF'"),
        ({"tiles": {"X": {"K": 2}}}, "tiles.X = {'K': 2}: unknown level 'X'"),
        ({"tiles": {"GLB": {"K": 0}}}, "tiles.GLB.K = 0: .*greater than or equal to 1"),
        ({"tiles": {"DRAM": {"K": 2}}}, "tiles.DRAM = {'K': 2}: keeps every tensor whole"),
        ({"tiles": {"GLB": {"M": 2}}}, "tiles.GLB.M.*'M': Input should be 'N', 'G'"),
        ({"spatial": {"Z": ["K"]}}, r"spatial.Z = \('K',\): unknown axis 'Z'.*known: X, Y"),
        ({"spatial": {"X": ["M"]}}, "spatial.X.0 = 'M'"),
        ({"bypass": {"DRAM": ["ofmap"]}}, "bypass.DRAM = 'ofmap': may not bypass DRAM"),
        (
            {"bypass": {"GLB": ["ifmap"]}, "keep": {"GLB": ["ifmap"]}},
            "bypass.GLB = 'ifmap': is also to be kept there",
        ),
    ],
)
def test_a_complaint_names_file_key_and_value(
    tmp_path: Path, given: dict[str, Any], complaint: str
) -> None:
    path = written(tmp_path, given)
    with pytest.raises(ConfigError, match=f"^{path}: {complaint}") as refused:
        load_constraints(path, MACHINE)
    assert "\n" not in str(refused.value)


def test_what_a_machine_cannot_do_is_refused() -> None:
    eyeriss = load_machine("eyeriss_v1")
    with pytest.raises(ConfigError, match=r"bypass\.GLB = 'ofmap': may not bypass GLB of"):
        check(Constraints(bypass={"GLB": ("ofmap",)}), eyeriss)
    only = Memory(tensors=("weight",), cell="sram", capacity_bits=64)
    where = machines.machine(machines.dram_level(), machines.GRID, machines.spad_level(only))
    with pytest.raises(ConfigError, match=r"keep\.spad = 'ifmap': spad of made up cannot keep it"):
        check(Constraints(keep={"spad": ("ifmap",)}), where)


# Against what moves: a tensor that no PE loses before its time is fetched no more often than once


@pytest.mark.parametrize("seed", range(5))
def test_output_stationary_psums_never_return(seed: int) -> None:
    constraints = Constraints(dataflow="output_stationary")
    for mapping in sampled(LAYER, MACHINE, count=200, seed=seed):
        links = access_counts(LAYER, mapping, shared=MACHINE.shared)
        returned = [link.reads for link in links if (link.tensor, link.child) == ("ofmap", "spad")]
        assert admits(constraints, mapping, LAYER, MACHINE) == (returned == [0])


@pytest.mark.parametrize("seed", range(5))
def test_without_a_buffer_stationary_weights_come_once(seed: int) -> None:
    """There a pass is the whole nest."""
    constraints = Constraints(dataflow="weight_stationary")
    where = machines.machine(machines.dram_level(), machines.GRID, machines.spad_level())
    for mapping in sampled(LAYER, where, count=200, seed=seed):
        links = access_counts(LAYER, mapping, shared=where.shared)
        fetched = [link.reads for link in links if (link.tensor, link.child) == ("weight", "spad")]
        once = fetched == [LAYER.words("weight")]
        assert admits(constraints, mapping, LAYER, where) == once
