"""Tensors that live in a buffer: validity, room, counts and costs on such a machine."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from hwsim.cost import cost
from hwsim.engine import run
from hwsim.errors import MappingError
from hwsim.hardware import Accelerator
from hwsim.homes import buffer, fits, with_homes
from hwsim.mapping import Loop, Mapping, Node, Store, overflow, validate
from hwsim.reuse import access_counts
from hwsim.simulate import best_mapping
from hwsim.traffic import transfers
from hwsim.workload import TENSORS, Layer
from tests import oracle
from tests.eyeriss import EYERISS
from tests.machines import (
    CONV,
    DATAFLOWS,
    GLB,
    GRID,
    MATMUL,
    Case,
    cases,
    dram_level,
    glb_level,
    machine,
    sized,
    slotted,
    spad_level,
)

STREAMED = GLB.model_copy(update={"buffering": "double"})
BUFFERED = machine(dram_level(), glb_level(sized(GLB, 1024)), GRID, spad_level())


def at_home(found: Accelerator, *tensors: str, bits: int = 0) -> Accelerator:
    derived = with_homes(found, dict.fromkeys(tensors, "GLB"), {("GLB", "ofmap"): bits})
    assert derived is not None
    return derived


def without_dram(mapping: Mapping, tensors: tuple[str, ...]) -> Mapping:
    """The mapping with tensors' first store at the GLB, and no other store of theirs there."""
    nodes: list[Node] = []
    for node in mapping:
        if isinstance(node, Store) and node.level in ("DRAM", "GLB"):
            kept = tuple(tensor for tensor in node.tensors if tensor not in tensors)
            nodes += [Store(node.level, kept)] if kept else []
        else:
            nodes.append(node)
    return Mapping((Store("GLB", tensors), *nodes))


def loops(layer: Layer) -> list[Node]:
    return [Loop(dim, 1) for dim, bound in layer.bounds.items() if bound > 1]


def test_a_whole_tensor_moves_between_its_home_and_the_pads_alone() -> None:
    """MATMUL: [2, 4] x [4, 3]; by hand, every word once, a finished psum of 16 bits as 8."""
    home = at_home(machine(), "ifmap", "ofmap", bits=(8 + 6) * 16)
    nest = (Store("DRAM", ("weight",)), Store("GLB", ("ifmap", "ofmap")), Store("spad", TENSORS))
    mapping = Mapping((*nest, *loops(MATMUL)))
    moves = [move for move in transfers(MATMUL, mapping, home) if move.child]
    assert {(m.tensor, m.link.parent, m.parent_read_bits, m.parent_write_bits) for m in moves} == {
        ("ifmap", "GLB", 8 * 8, 0),
        ("weight", "DRAM", 12 * 4, 0),
        ("ofmap", "GLB", 0, 6 * 8),
    }
    assert cost(MATMUL, mapping, home).dram_bits == 12 * 4


def test_psums_that_come_back_to_a_home_are_as_wide_as_psums() -> None:
    """Two halves of C, so that 6 psums of 16 bits go and return before 6 words of 8 bits go."""
    home = at_home(machine(), "ofmap")
    nodes = (Store("DRAM", ("ifmap", "weight")), Store("GLB", ("ofmap",)), Loop("C", 2))
    inner = (Loop("N", 1), Loop("K", 1), Store("spad", ("ofmap",)), Loop("C", 1))
    moves = transfers(MATMUL, Mapping((*nodes, *inner)), home)
    ofmap = next(move for move in moves if move.link.parent == "GLB")
    assert (ofmap.parent_write_bits, ofmap.parent_read_bits) == (6 * 16 + 6 * 8, 6 * 16)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_counts_with_a_home_on_chip_equal_the_walk(case: Case) -> None:
    layer, mapping, found = case
    tensors = layer.tensors[::2]
    moved = without_dram(mapping, tensors)
    words = access_counts(layer, moved, shared=found.shared, padding=found.stores_padding)
    walked = oracle.walk(layer, moved, shared=found.shared, padding=found.stores_padding)
    assert list(words) == walked


@given(cases(timed=True))
@settings(max_examples=40, deadline=None)
def test_the_engine_plays_homes_and_is_never_faster(case: Case) -> None:
    layer, mapping, found = case
    home = at_home(found, *layer.tensors[::2])
    moved = without_dram(mapping, layer.tensors[::2])
    assert run([(layer, moved)], home).cycles >= cost(layer, moved, home).cycles - 1


def test_no_reserved_bit_holds_a_tile() -> None:
    whole = Mapping((Store("DRAM", TENSORS), Store("GLB", ("weight",)), *loops(CONV)))
    bits = CONV.words("weight") * 16
    roomy, tight = (
        machine(dram_level(), glb_level(sized(GLB, 2 * bits + less)), GRID, spad_level())
        for less in (0, -1)
    )
    assert overflow(whole, CONV, at_home(roomy, bits=bits)) is None
    assert overflow(whole, CONV, at_home(tight, bits=bits)) == (
        f"GLB: weight {bits} bits exceed {bits - 1}"
    )


def test_a_double_buffer_holds_what_stays_once_and_tiles_twice() -> None:
    found = machine(dram_level(), glb_level(sized(STREAMED, 1000)), GRID, spad_level())
    memory = at_home(found, bits=400).level("GLB").memory("ofmap")
    assert memory is not None
    assert memory.usable_bits == 300


def test_a_tensor_at_home_takes_no_tile_and_has_no_store_further_out() -> None:
    home = at_home(BUFFERED, "ifmap", bits=1024)
    nodes = (Store("DRAM", ("weight", "ofmap")), Store("GLB", ("ifmap",)), *loops(CONV))
    validate(Mapping(nodes), CONV, home)
    with pytest.raises(MappingError, match="GLB must keep ifmap first of all"):
        validate(Mapping((Store("DRAM", TENSORS), *loops(CONV))), CONV, home)
    with pytest.raises(MappingError, match="GLB must keep ifmap first of all"):
        validate(Mapping((Store("DRAM", ("weight", "ofmap")), *loops(CONV))), CONV, home)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("tensors", [("ifmap",), ("ofmap",), ("ifmap", "ofmap")])
def test_every_dataflow_maps_a_layer_whose_tensors_stay(
    dataflow: str, tensors: tuple[str, ...]
) -> None:
    found = machine(dataflow=dataflow)
    bits = sum(CONV.words(tensor) * 16 for tensor in tensors)
    home = at_home(found, *tensors, bits=bits)
    mapping, staying = best_mapping(CONV, home, objective="energy")
    validate(mapping, CONV, home)
    _, through_dram = best_mapping(CONV, found, objective="energy")
    assert staying.energy_pj < through_dram.energy_pj
    assert staying.dram_bits <= through_dram.dram_bits - bits


def test_energies_do_not_follow_the_room_that_is_left() -> None:
    free = replace(CONV, name="free")
    home = at_home(EYERISS, bits=4096)
    mapping, before = best_mapping(free, EYERISS)
    assert cost(free, mapping, home) == before


def test_the_outermost_buffer_of_both_maps() -> None:
    assert buffer(EYERISS, "ifmap", "ofmap") == "GLB"
    assert buffer(EYERISS, "ifmap", "weight") is None
    assert buffer(machine(dram_level(), GRID, spad_level(slotted(GLB, 16))), "ifmap") is None


def test_rooms_of_one_memory_add_up() -> None:
    rooms = {("GLB", "ifmap"): 512, ("GLB", "weight"): 512}
    assert fits(BUFFERED, rooms)
    assert not fits(BUFFERED, rooms | {("GLB", "ofmap"): 1})
    assert with_homes(BUFFERED, {}, rooms | {("GLB", "ofmap"): 1}) is None


def test_a_home_must_hold_its_tensor_above_the_pes() -> None:
    for level in ("spad", "attic"):
        with pytest.raises(ValidationError, match=r"levels above the PEs that hold ifmap are"):
            with_homes(machine(), {"ifmap": level}, {})
    with pytest.raises(ValidationError, match="exceeds capacity_bits = 64"):
        type(GLB)(tensors=("ifmap",), cell="sram", capacity_bits=64, reserved_bits=65)
