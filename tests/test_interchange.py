"""Mappings written in other tools' forms come back with every access count; the rest is refused."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import MappingError
from hwsim.interchange import timeloop, zigzag
from hwsim.mapping import Loop, Mapping, Node, Store
from hwsim.reuse import access_counts, compute_steps
from hwsim.workload import DIMS, TENSORS, Layer
from tests import machines

MACHINE = machines.machine()
LAYER = Layer(name="conv", K=8, C=6, P=4, Q=9, R=3, S=2, pad_h=1)
AXES = {"X": "D1", "Y": "D2"}
FACTORS = (1, 1, 2, 3)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Layer, Mapping]:
    """A layer whose bounds are products of drawn factors, and the nest of these factors.

    Loops of the three memories and of the array; the pads' stores lie among the innermost loops,
    one of them before all of these.
    """
    slots = {
        slot: {dim: draw(st.sampled_from(FACTORS)) for dim in draw(st.permutations("KCPQRS"))[:4]}
        for slot in ("DRAM", "GLB", "spad")
    }
    spatial = {
        axis: {dim: draw(st.integers(1, size))}
        for (axis, size), dim in zip(
            {"X": 4, "Y": 3}.items(), draw(st.permutations("KCPQRS"))[:2], strict=True
        )
    }
    places = {tensor: draw(st.integers(0, 4)) for tensor in TENSORS}
    places[draw(st.sampled_from(TENSORS))] = 4
    outer: list[tuple[str, int, str | None]] = []
    for slot in ("DRAM", "GLB"):
        outer += [(dim, factor, None) for dim, factor in slots[slot].items()]
        outer += [("GLB", 0, None)] if slot == "DRAM" else []
    outer += [(dim, factor, axis) for axis, own in spatial.items() for dim, factor in own.items()]
    return _nest(outer, list(slots["spad"].items()), places)


def _nest(
    outer: list[tuple[str, int, str | None]],
    inner: list[tuple[str, int]],
    places: dict[str, int],
) -> tuple[Layer, Mapping]:
    """Built from the innermost loop outwards, so that tiles and bounds are products."""
    tile: dict[str, Any] = dict.fromkeys(DIMS, 1)
    nodes: list[Node] = [Store("spad", (t,)) for t in TENSORS if places[t] == 0]
    for place, (dim, factor) in enumerate(inner, start=1):
        nodes.append(Loop(dim, tile[dim]))
        tile[dim] *= factor
        nodes += [Store("spad", (t,)) for t in TENSORS if places[t] == place]
    for dim, factor, axis in reversed(outer):
        if dim == "GLB":
            nodes.append(Store("GLB", TENSORS))
        else:
            nodes.append(Loop(dim, tile[dim], axis))
            tile[dim] *= factor
    nodes.append(Store("DRAM", TENSORS))
    return Layer(name="drawn", **tile), Mapping(tuple(reversed(nodes)))


def counts(layer: Layer, mapping: Mapping) -> Any:
    """Everything that moves, and the steps it takes."""
    return access_counts(layer, mapping, shared=MACHINE.shared), compute_steps(layer, mapping)


@settings(deadline=None)
@given(cases())
def test_what_timeloop_can_say_comes_back(case: tuple[Layer, Mapping]) -> None:
    layer, mapping = case
    try:
        records = timeloop.export(mapping, layer, MACHINE)
    except MappingError:
        return
    back = timeloop.read(yaml.safe_load(yaml.safe_dump(records)), layer, MACHINE)
    assert counts(layer, back) == counts(layer, mapping)
    assert timeloop.export(back, layer, MACHINE) == records


@settings(deadline=None)
@given(cases())
def test_what_zigzag_can_say_comes_back(case: tuple[Layer, Mapping]) -> None:
    layer, mapping = case
    nest = zigzag.export(mapping, layer, MACHINE)
    records = yaml.safe_load(yaml.safe_dump(zigzag.result_records(nest, axes=AXES)))
    again = zigzag.from_result(records, axes=AXES)
    assert again == nest
    back = zigzag.read(again, layer, MACHINE)
    assert counts(layer, back) == counts(layer, mapping)


def test_timeloop_records_read_as_its_manual_has_them() -> None:
    mapping = Mapping(
        (
            Store("DRAM", TENSORS),
            Loop("K", 4),
            Store("GLB", ("ifmap", "ofmap")),
            Loop("Q", 3),
            Loop("C", 3),
            Loop("P", 1, "X"),
            Loop("R", 1, "Y"),
            Store("spad", ("weight",)),
            Loop("Q", 1),
            Store("spad", ("ifmap", "ofmap")),
            Loop("S", 1),
            Loop("C", 1),
            Loop("K", 1),
        )
    )
    glb = [r for r in timeloop.export(mapping, LAYER, MACHINE) if r["target"] == "GLB"]
    assert glb == [
        {
            "target": "GLB",
            "type": "bypass",
            "keep": ["Inputs", "Outputs"],
            "bypass": ["Weights"],
        },
        {
            "target": "GLB",
            "type": "temporal",
            "factors": "N=1 G=1 M=1 C=2 P=1 Q=3 R=1 S=1",
            "permutation": "CQNGMPRS",
        },
        {
            "target": "GLB",
            "type": "spatial",
            "factors": "N=1 G=1 M=1 C=1 P=4 Q=1 R=3 S=1",
            "permutation": "PRNGMCQS",
            "split": 1,
        },
    ]
    targets = {r["target"] for r in timeloop.export(mapping, LAYER, MACHINE)}
    assert targets == {"DRAM", "GLB", "spad_weight", "spad_ifmap_ofmap"}


def nest(*nodes: Node) -> Mapping:
    """A whole mapping: DRAM, these nodes, pads, and a loop per dimension."""
    rest = [Loop(dim, 1) for dim in DIMS]
    return Mapping((Store("DRAM", TENSORS), *nodes, Store("spad", TENSORS), *rest))


ALL = Store("GLB", TENSORS)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((ALL, Loop("Q", 5)), "Q in tiles of 5, of 9: Timeloop's form needs a factor"),
        ((ALL, Loop("K", 4), Loop("Q", 3), Loop("K", 2)), "K twice below GLB"),
        ((ALL, Loop("C", 3, "Y"), Loop("C", 1)), "C in tiles of 1, inside its spatial loop"),
        ((ALL, Loop("C", 3, "Y"), Loop("C", 1, "X")), "C twice below GLB"),
        (
            (Store("GLB", ("ofmap",)), Loop("C", 3), Store("GLB", ("ifmap",))),
            "GLB keeps ofmap at other loops than what shares its memory",
        ),
    ],
)
def test_what_timeloop_cannot_say_is_refused(nodes: tuple[Node, ...], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        timeloop.export(nest(*nodes), LAYER, MACHINE)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((ALL, Loop("Q", 5)), "Q = 9 in 10 steps: ZigZag's form has no ragged tiles in time"),
        ((), "ifmap bypasses GLB: ZigZag's form has no bypass|bypasses GLB"),
    ],
)
def test_what_zigzag_cannot_say_is_refused(nodes: tuple[Node, ...], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        zigzag.export(nest(*nodes), LAYER, MACHINE)


def test_zigzag_averages_a_ragged_tile_over_places() -> None:
    """9 columns over 4 places in 3 steps: 3 each; a layer of 10 has 2.5 at 4 steps."""
    layer = Layer(name="ragged", Q=10)
    mapping = nest(ALL, Loop("Q", 3), Loop("Q", 1, "X"))
    found = zigzag.export(mapping, layer, MACHINE)
    assert found.spatial == {"X": (("Q", 2.5),), "Y": ()}
    assert found.order == (("Q", 4),)
    assert counts(layer, zigzag.read(found, layer, MACHINE)) == counts(layer, mapping)


def test_ragged_tiles_are_whole_ones_of_a_larger_layer() -> None:
    """9 columns in tiles of 5, then of 1: 2 x 5 steps, as of 10 columns."""
    larger, found = zigzag.rounded_up(nest(ALL, Loop("Q", 5)), LAYER, MACHINE)
    assert {dim for dim in DIMS if larger.bounds[dim] != LAYER.bounds[dim]} == {"Q"}
    assert (larger.Q, larger.W, larger.pad_h) == (10, 11, 1)
    assert [factor for dim, factor in found.order if dim == "Q"] == [5, 2]


def test_a_pad_that_outlives_a_buffer_s_tile_is_no_nest() -> None:
    loops = (("Q", 3), ("C", 2), ("K", 2))
    memories = {"ifmap": (loops[:2], loops[2:], ()), "weight": ((), loops, ())}
    bad = zigzag.ZigZagMapping({"X": (), "Y": ()}, memories | {"ofmap": ((), (), loops)})
    layer = Layer(name="small", K=2, C=2, Q=3)
    with pytest.raises(MappingError, match="ifmap in spad outlives a tile above the array"):
        zigzag.read(bad, layer, MACHINE)


def test_zigzag_s_mapping_file_holds_the_order_alone() -> None:
    mapping = nest(ALL, Loop("C", 3), Loop("K", 4, "X"))
    found = zigzag.file_records(zigzag.export(mapping, LAYER, MACHINE), axes=AXES)
    assert found == [
        {
            "name": "default",
            "spatial_mapping": {"D1": ["K, 2"]},
            "temporal_ordering": [
                ["FX", 2],
                ["FY", 3],
                ["OX", 9],
                ["OY", 4],
                ["C", 3],
                ["K", 4],
                ["C", 2],
            ],
            "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
        }
    ]


def test_timeloop_factors_that_miss_a_bound_are_refused() -> None:
    records = timeloop.export(nest(ALL), LAYER, MACHINE)
    with pytest.raises(MappingError, match="does not divide"):
        timeloop.read(records, Layer(name="other", K=7), MACHINE)
    with pytest.raises(MappingError, match="no factor goes through"):
        timeloop.read(records[:1], LAYER, MACHINE)
