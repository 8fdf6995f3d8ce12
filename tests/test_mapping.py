"""Which mappings a machine accepts, what it says of the others, and how large tiles are."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import MappingError
from hwsim.hardware import Accelerator, Array, Memory, MemoryLevel
from hwsim.mapping import Loop, Mapping, Node, Store, kept_bits, overflow, tile_words, validate
from hwsim.workload import DIMS, TENSORS, Layer, Op
from tests import oracle
from tests.strategies import layers, mappings

LAW = settings(max_examples=200, deadline=None, derandomize=True)


def memory(*tensors: str, bits: int, **more: Any) -> Memory:
    return Memory(tensors=tensors, cell="sram", capacity_bits=bits, **more)


def machine(glb: Memory) -> Accelerator:
    """3 x 2 PEs under a GLB that keeps no weights; every weight passes through a pad."""
    weights = memory("weight", bits=6 * 16, bypass=False)
    dram = Memory(tensors=TENSORS, cell="dram")
    spad = (weights, memory("ifmap", "ofmap", bits=20 * 16))
    return Accelerator(
        name="toy",
        description="a machine to refuse mappings",
        source="none",
        dataflow="row_stationary",
        clock_mhz=100,
        hierarchy=(
            MemoryLevel(level="DRAM", component="DRAM", memories=(dram,)),
            MemoryLevel(level="GLB", component="GLB", memories=(glb,)),
            Array(axes={"X": 3, "Y": 2}),
            MemoryLevel(level="spad", component="spad", memories=spad),
        ),
    )


FITTING = memory("ifmap", "ofmap", bits=640)
LAYER = Layer(name="toy", K=4, C=3, P=5, Q=4, R=2, S=3, stride_h=2)
DRAM = Store("DRAM", TENSORS)
GLB = Store("GLB", ("ifmap", "ofmap"))
SPAD = Store("spad", TENSORS)
NEST: tuple[Node, ...] = (
    *(DRAM, Loop("C", 1), Loop("K", 2), Loop("P", 2)),
    *(GLB, Loop("K", 1, "X"), Loop("R", 1, "Y")),
    *(SPAD, Loop("P", 1), Loop("Q", 1), Loop("S", 1)),
)


def nest(changes: dict[int, tuple[Node, ...]] | None = None) -> Mapping:
    """NEST, each of its nodes replaced by those that `changes` has for its position."""
    kept = (changes or {}).get
    return Mapping(tuple(node for at, old in enumerate(NEST) for node in kept(at, (old,))))


def test_a_fitting_mapping_is_accepted() -> None:
    validate(nest(), LAYER, machine(FITTING))


def test_a_layer_without_weights_needs_no_weight_stores() -> None:
    pool = Layer(name="pool", op=Op.POOL, Q=4, S=2)
    loops = (Loop("Q", 1), Loop("S", 1))
    validate(Mapping((Store("DRAM", ("ifmap", "ofmap")), *loops)), pool, machine(FITTING))


@pytest.mark.parametrize(
    ("mapping", "complaint"),
    [
        (nest({1: (Loop("D", 1),)}), "D in tiles of 1: dimension must be one of N G K C P Q R S"),
        (nest({2: (Loop("K", 0),)}), "K in tiles of 0: .* the tile within 1..4"),
        (nest({5: (Loop("K", 3, "X"),)}), "over X: K in tiles of 3: .* the tile within 1..2"),
        (nest({9: (), 6: ()}), "no loop goes through {'Q': 4, 'R': 2}"),
        (nest({4: (Store("attic", ("ifmap",)),)}), "toy has no level 'attic'"),
        (nest({0: (Store("DRAM", ("ifmap", "weight")),)}), "DRAM must keep ofmap first of all"),
        (nest({0: (NEST[1],), 1: (NEST[0],)}), "DRAM must keep ifmap first of all"),
        (nest({4: (SPAD,), 7: (GLB,)}), "ifmap is kept inner level first: .*'spad', 'GLB'"),
        (nest({3: (GLB,)}), "ifmap is kept inner level first: .*'GLB', 'GLB'"),
        (nest({4: (Store("GLB", TENSORS),)}), "GLB cannot keep weight"),
        (nest({7: (Store("spad", ("ifmap",)),)}), "weight may not bypass spad"),
        (nest({6: (Loop("R", 1, "Z"),)}), "toy has no axis 'Z'"),
        (nest({4: (), 7: (GLB, SPAD)}), r"\[GLB keeps ifmap, ofmap\] lies on the wrong side"),
        (nest({8: (Loop("P", 1, "Y"),)}), "over Y: P in tiles of 1 lies on the wrong side"),
        (nest({2: ()}), "axis X of toy has 3 places, the mapping needs 4"),
        (nest({3: (), 6: (Loop("R", 1, "X"),)}), "axis X of toy has 3 places, .* needs 4"),
    ],
)
def test_a_mapping_that_breaks_a_rule_is_refused(mapping: Mapping, complaint: str) -> None:
    with pytest.raises(MappingError, match=f"^layer 'toy': .*{complaint}") as refused:
        validate(mapping, LAYER, machine(FITTING))
    assert "\n" not in str(refused.value)


# A tile of 2 x 4 ofmap points: 4 ifmap rows of 6 words, and 8 psums of each of 2 filters.
SIZES = "GLB: ifmap 384 + ofmap 256 bits exceed 639"


@pytest.mark.parametrize(
    ("bits", "buffering", "complaint"),
    [
        (640, "single", None),
        (639, "single", SIZES),
        (1280, "double", None),
        (1278, "double", SIZES),
    ],
)
def test_overflow_names_level_tensors_and_bits(
    bits: int, buffering: str, complaint: str | None
) -> None:
    toy = machine(memory("ifmap", "ofmap", bits=bits, buffering=buffering))
    assert overflow(nest(), LAYER, toy) == complaint
    if complaint:
        with pytest.raises(MappingError, match=f"^layer 'toy': {re.escape(complaint)}$"):
            validate(nest(), LAYER, toy)


def test_an_ofmap_is_kept_as_psums_and_words_fill_whole_slots() -> None:
    narrow = LAYER.at_bits(ifmap=8, weight=8, ofmap=8, psum=20)
    packed, slotted = (memory("ifmap", "ofmap", bits=640, slot_bits=n) for n in (1, 16))
    assert [kept_bits(narrow, packed, tensor) for tensor in TENSORS] == [8, 8, 20]
    assert [kept_bits(narrow, slotted, tensor) for tensor in TENSORS] == [16, 16, 32]
    assert overflow(nest(), narrow, machine(packed)) is None
    assert "ifmap 384 + ofmap 512" in str(overflow(nest(), narrow, machine(slotted)))


# Sizes of tiles


@LAW
@given(st.data(), layers(points=2000), st.sampled_from(TENSORS))
def test_tile_words_equal_a_set_of_elements(data: st.DataObject, layer: Layer, tensor: str) -> None:
    """Where the ifmap ends short of the last window, the words are a bound."""
    extent = {dim: data.draw(st.integers(1, size), dim) for dim, size in layer.bounds.items()}
    ranges = {dim: range(size) for dim, size in extent.items()}
    words = len(oracle.elements(layer, tensor, ranges, padding=True))
    words *= layer.operands if tensor == "ifmap" else 1
    if tensor == "ifmap" and not fits(layer):
        assert tile_words(layer, tensor, extent) >= words
    else:
        assert tile_words(layer, tensor, extent) == words


def fits(layer: Layer) -> bool:
    """Whether the last window ends inside the padded ifmap."""
    last_row = (layer.P - 1) * layer.stride_h + (layer.R - 1) * layer.dilation_h
    last_column = (layer.Q - 1) * layer.stride_w + (layer.S - 1) * layer.dilation_w
    return last_row < layer.H + 2 * layer.pad_h and last_column < layer.W + 2 * layer.pad_w


@LAW
@given(st.data(), layers(points=100))
def test_tile_is_the_largest_that_any_instance_ever_has(data: st.DataObject, layer: Layer) -> None:
    mapping = data.draw(mappings(layer))
    loops = mapping.loops[: data.draw(st.integers(0, len(mapping.loops)))]
    tiles = [
        oracle.narrow(layer, loops, oracle.added(moment, place))
        for moment in oracle.moments(loops, oracle.whole(layer))
        for place in oracle.instances(layer, loops)
    ]
    largest = {dim: max(len(tile[dim]) for tile in tiles) for dim in DIMS}
    assert mapping.tile(layer, len(loops)) == largest


@LAW
@given(st.data(), layers(points=100))
def test_active_pes_are_the_instances_that_ever_work(data: st.DataObject, layer: Layer) -> None:
    mapping = data.draw(mappings(layer))
    busy = {
        place
        for moment in oracle.moments(mapping.loops, oracle.whole(layer))
        for place in oracle.instances(layer, mapping.loops)
        if all(oracle.narrow(layer, mapping.loops, oracle.added(moment, place)).values())
    }
    assert mapping.active_pes(layer) == len(busy)


# Reading and writing


@LAW
@given(st.data(), layers())
def test_yaml_round_trip(data: st.DataObject, layer: Layer) -> None:
    mapping = data.draw(mappings(layer))
    text = yaml.safe_dump(mapping.to_yaml())
    assert Mapping.from_yaml(yaml.safe_load(text)) == mapping


@pytest.mark.parametrize(
    "record",
    [
        {"store": "GLB"},
        {"store": "GLB", "tensors": "ifmap"},
        {"store": "GLB", "tensors": ["ifmap"], "axis": "X"},
        {"for": "K"},
        {"for": "K", "tile": "two"},
        {"for": "K", "tile": 2, "axes": "X"},
        "K in tiles of 2",
    ],
)
def test_a_malformed_record_is_named(record: Any) -> None:
    with pytest.raises(MappingError, match=f"^{re.escape(f'mapping[1] = {record!r}: needs ')}"):
        Mapping.from_yaml([{"for": "K", "tile": 2}, record])


def test_a_mapping_reads_like_a_loop_nest() -> None:
    assert str(Mapping(NEST[:6])) == (
        "[DRAM keeps ifmap, weight, ofmap]\n"
        "C in tiles of 1\n"
        "  K in tiles of 2\n"
        "    P in tiles of 2\n"
        "      [GLB keeps ifmap, ofmap]\n"
        "      spatially over X: K in tiles of 1"
    )


def test_stores_say_how_many_loops_lie_before_them() -> None:
    assert nest().stores("ifmap") == (("DRAM", 0), ("GLB", 3), ("spad", 5))
    assert nest().stores("weight") == (("DRAM", 0), ("spad", 5))
