"""Bits that a mapping moves, against the worked matrix product and small hand-made layers."""

from collections.abc import Iterable
from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings

from hwsim.hardware import Array
from hwsim.mapping import Loop, Mapping, Node, Store
from hwsim.sparsity import Format, encode, matrix_shape
from hwsim.traffic import Transfer, coded_bits, transfers
from hwsim.workload import Layer, Op, Storage, Tensor, Zeros
from tests import oracle
from tests.machines import (
    DRAM,
    GLB,
    MATMUL,
    PADS,
    SQUARE,
    STATIONARY,
    Case,
    cases,
    dram_level,
    glb_level,
    grid,
    machine,
    slotted,
    spad_level,
)

ALL = ("ifmap", "weight", "ofmap")
KEPT = Store("DRAM", ALL), Store("GLB", ALL)


def by_link(moves: Iterable[Transfer]) -> dict[tuple[str, str, str], Transfer]:
    return {(move.tensor, move.link.parent, move.link.child): move for move in moves}


WORKED = by_link(transfers(MATMUL, STATIONARY, SQUARE))


def test_bits_of_the_worked_matrix_product() -> None:
    """As in the worked energies: (read, written) of the parent, then of the child, by link."""
    bits = {
        key: (m.parent_read_bits, m.parent_write_bits, m.child_read_bits, m.child_write_bits)
        for key, m in WORKED.items()
    }
    assert bits == {
        ("ifmap", "DRAM", "GLB"): (64, 0, 0, 64),
        ("ifmap", "GLB", "MAC"): (128, 0, 0, 0),
        ("weight", "DRAM", "spad"): (48, 0, 0, 48),
        ("weight", "spad", "MAC"): (96, 0, 0, 0),
        ("ofmap", "DRAM", "GLB"): (0, 48, 96, 0),
        ("ofmap", "GLB", "MAC"): (96, 192, 0, 0),
    }


def test_words_on_the_noc() -> None:
    """16 ifmaps reach 24 PEs; 12 weights one each; 24 psums become 12, of which 6 come back."""
    crossing = {key: m.noc_words for key, m in WORKED.items() if m.arrays}
    assert crossing == {
        ("ifmap", "GLB", "MAC"): 24,
        ("weight", "DRAM", "spad"): 12,
        ("ofmap", "GLB", "MAC"): 6 + 12,
    }


def test_what_the_machine_waits_for() -> None:
    """Whole tensors into and out of the buffer; a weight for each of 4 PEs; at a step, 2 ifmaps
    that the columns share and 2 psums that the rows have added up; of a pad's weights, 1 in 6."""
    first = {key: (m.first_words, m.tile_words) for key, m in WORKED.items()}
    assert first == {
        ("ifmap", "DRAM", "GLB"): (8, 8),
        ("ifmap", "GLB", "MAC"): (2, 1),
        ("weight", "DRAM", "spad"): (4, 1),
        ("weight", "spad", "MAC"): (4, 1),
        ("ofmap", "DRAM", "GLB"): (6, 6),
        ("ofmap", "GLB", "MAC"): (2, 1),
    }
    weights = WORKED["weight", "DRAM", "spad"]
    for starts, words in ((1, 4), (2, 8), (5, 12)):
        waited = weights.waited(starts).link
        assert (waited.reads, waited.delivered) == (words, words)
    for starts, back, out in ((1, 1, 1), (5, 5, 5), (7, 6, 7), (20, 6, 12)):
        halves = WORKED["ofmap", "GLB", "MAC"].waited(starts).link
        assert (halves.reads, halves.writes) == (back, out)
    assert WORKED["ofmap", "DRAM", "GLB"].waited(1) == WORKED["ofmap", "DRAM", "GLB"]


def test_the_last_tile_out_to_dram_is_finished() -> None:
    """C outside: of 12 psums of 24 bits that leave, the last ofmap leaves with its 8."""
    layer = Layer(name="spill", op=Op.LINEAR, K=3, C=4).at_bits(ifmap=8, weight=8, ofmap=8, psum=24)
    nodes = (Store("DRAM", ALL), Loop("C", 1), Loop("K", 1))
    plain = machine(dram_level(), glb_level())
    last = by_link(transfers(layer, Mapping(nodes), plain))["ofmap", "DRAM", "MAC"].waited(1)
    assert (last.parent_read_bits, last.parent_write_bits) == (24, 8)


def test_instances_at_both_ends() -> None:
    ends = {key: (m.parent_instances, m.child_instances) for key, m in WORKED.items()}
    assert ends["weight", "DRAM", "spad"] == (1, 4)
    assert ends["weight", "spad", "MAC"] == (4, 4)
    assert ends["ifmap", "DRAM", "GLB"] == (1, 1)


def test_without_multicast_each_instance_is_served_by_itself() -> None:
    """24 reads of ifmap instead of 16; without reduction all 24 psums reach the buffer."""
    parts = (
        part.model_copy(update={"multicast": (), "reduces": False})
        if isinstance(part, Array)
        else part
        for part in SQUARE.hierarchy
    )
    alone = by_link(transfers(MATMUL, STATIONARY, machine(*parts)))
    ifmap, ofmap = alone["ifmap", "GLB", "MAC"], alone["ofmap", "GLB", "MAC"]
    assert (ifmap.link.reads, ifmap.noc_words) == (24, 24)
    assert (ofmap.link.collected, ofmap.link.writes, ofmap.link.reads) == (24, 24, 24 - 6)


def test_unfinished_psums_spill_to_dram_at_their_own_width() -> None:
    """C outside, K not kept on chip: each of 3 ofmaps is written 4 times, 3 of them unfinished."""
    layer = Layer(name="spill", op=Op.LINEAR, K=3, C=4).at_bits(ifmap=8, weight=8, ofmap=8, psum=24)
    nodes = (Store("DRAM", ALL), Loop("C", 1), Loop("K", 1))
    plain = machine(dram_level(), glb_level())
    ofmap = by_link(transfers(layer, Mapping(nodes), plain))["ofmap", "DRAM", "MAC"]
    assert ofmap.parent_read_bits == 9 * 24
    assert ofmap.parent_write_bits == 9 * 24 + 3 * 8


@pytest.mark.parametrize(
    ("bits", "slot", "kept"), [(8, 16, 16), (8, 1, 8), (9, 8, 16), (16, 16, 16)]
)
def test_words_take_whole_slots(bits: int, slot: int, kept: int) -> None:
    layer = MATMUL.at_bits(ifmap=bits, weight=bits, ofmap=bits, psum=bits)
    buffer = slotted(GLB.model_copy(update={"tensors": ("ifmap", "ofmap")}), slot)
    wide = machine(dram_level(), glb_level(buffer), grid(2, 2), spad_level(slotted(PADS[1], slot)))
    moves = by_link(transfers(layer, STATIONARY, wide))
    assert moves["ifmap", "DRAM", "GLB"].child_write_bits == 8 * kept
    assert moves["ifmap", "GLB", "MAC"].parent_read_bits == 16 * kept
    assert moves["weight", "spad", "MAC"].parent_read_bits == 24 * kept
    assert moves["ofmap", "GLB", "MAC"].parent_write_bits == 12 * kept
    assert moves["ifmap", "DRAM", "GLB"].parent_read_bits == 8 * bits


@pytest.mark.parametrize(
    ("storage", "density", "bits"),
    [
        (Storage.DENSE, 0.25, 16),
        (Storage.BITMAP, 0.25, 1 + 4),
        (Storage.BITMAP, 1.0, 16),  # 17 would inflate the tensor: left uncoded
        (Storage.RUN_LENGTH, 1.0, 16),  # so would 64 / 3
        (Storage.RUN_LENGTH, 0.0, 64 / (3 * 32)),
    ],
)
def test_a_memory_codes_what_it_has_a_format_for(
    storage: Storage, density: float, bits: float
) -> None:
    coding = DRAM.model_copy(update={"formats": {"ifmap": storage}})
    layer = Layer(name="sparse", op=Op.LINEAR, C=64, ifmap=Tensor(density=density))
    assert coded_bits(layer, coding, "ifmap") == pytest.approx(bits)
    assert coded_bits(layer, coding, "weight") == 16


def test_a_memory_without_a_format_codes_nothing() -> None:
    """A sparse tensor stays dense where no memory has a coder for it."""
    sparse = replace(MATMUL, weight=Tensor(bits=4, density=0.1))
    assert transfers(sparse, STATIONARY, SQUARE) == tuple(WORKED.values())


def test_what_a_coding_buffer_takes_in_and_gives_out_is_coded() -> None:
    """8 words of ifmap, one in 4 a non-zero: 1 + 2 bits each in a bitmap, psums as they are."""
    buffer = GLB.model_copy(
        update={"tensors": ("ifmap", "ofmap"), "formats": {"ifmap": "bitmap", "ofmap": "bitmap"}}
    )
    parts = (SQUARE.hierarchy[0], glb_level(buffer), *SQUARE.hierarchy[2:])
    sparse = replace(MATMUL, ifmap=Tensor(bits=8, density=0.25))
    moves = by_link(transfers(sparse, STATIONARY, machine(*parts)))
    assert moves["ifmap", "DRAM", "GLB"].parent_read_bits == 8 * 8
    assert moves["ifmap", "DRAM", "GLB"].child_write_bits == 8 * 3
    assert moves["ifmap", "GLB", "MAC"].parent_read_bits == 16 * 3
    plain = WORKED["ofmap", "DRAM", "GLB"]
    assert moves["ofmap", "DRAM", "GLB"].child_read_bits == plain.child_read_bits


# Real zeros

FORMATS: tuple[Storage | Format, ...] = (
    *(storage for storage in Storage if storage is not Storage.BLOCK),
    Format(storage=Storage.BLOCK, block=(2, 3)),
    Format(storage=Storage.RELATIVE_INDEX, index_bits=2),
)


def sparse_layer(density: float, *, seed: int, real: bool) -> Layer:
    """Maps and filters with zeros drawn one by one; known, or their share."""
    layer = Layer(name="sparse", N=2, G=2, K=24, C=20, P=11, Q=14, R=3, S=2)
    random = np.random.default_rng(seed)
    ifmap, weight, ofmap = (
        Tensor(zeros=Zeros.of(random.random(layer.shape(tensor)) < density))
        if real
        else Tensor(density=density)
        for tensor in ALL
    )
    return replace(layer, ifmap=ifmap, weight=weight, ofmap=ofmap)


@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("tensor", ALL)
@pytest.mark.parametrize("density", [0.0, 0.05, 0.4, 1.0])
def test_known_zeros_take_the_bits_that_are_encoded(
    form: Storage | Format, tensor: str, density: float
) -> None:
    """Whatever the values: a coder writes as many bytes, or is bypassed."""
    layer = sparse_layer(density, seed=3, real=True)
    coding = DRAM.model_copy(update={"formats": {tensor: form}})
    zeros = layer.tensor(tensor).zeros
    assert zeros
    values = np.random.default_rng(4).integers(1, 2**15, zeros.shape) * zeros.mask
    plain = form if isinstance(form, Format) else Format(storage=form)
    shaped = replace(plain, shape=matrix_shape(layer, tensor))
    encoded = 8 * len(encode(shaped, values, bits=16))
    found = round(coded_bits(layer, coding, tensor) * values.size)
    if found < 16 * values.size:
        assert encoded - 8 < found <= encoded
    else:
        assert found == 16 * values.size <= encoded


@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("tensor", ALL)
@pytest.mark.parametrize("density", [0.05, 0.4, 0.8])
def test_known_zeros_take_the_bits_that_their_density_leads_to_expect(
    form: Storage | Format, tensor: str, density: float
) -> None:
    coding = DRAM.model_copy(update={"formats": {tensor: form}})
    exact = [
        coded_bits(sparse_layer(density, seed=seed, real=True), coding, tensor)
        for seed in range(60)
    ]
    expected = coded_bits(sparse_layer(density, seed=0, real=False), coding, tensor)
    assert np.mean(exact) == pytest.approx(expected, rel=0.02)


def test_run_length_of_maps_whose_zeros_lie_together() -> None:
    """VGG-like, half the channels dead: a pair for each non-zero, as if zeros lay one by one, and
    one more for every 32 zeros, 3 % in all that the density does not tell."""
    layer = Layer(name="vgg", C=64, K=64, P=26, Q=26, R=3, S=3)
    alive = np.zeros(layer.shape("ifmap"), bool)
    alive[:, ::2] = True
    link = DRAM.model_copy(update={"formats": {"ifmap": Storage.RUN_LENGTH}})
    dead = replace(layer, ifmap=Tensor(zeros=Zeros.of(alive)))
    told = replace(layer, ifmap=Tensor(density=0.5))
    words, pairs_alive, pairs_dead = 32 * 28 * 28, 28 * 28, 28 * 28 / 32
    exact = 64 / 3 * 32 * (pairs_alive + pairs_dead) / (2 * words)
    assert coded_bits(dead, link, "ifmap") == pytest.approx(exact, rel=1e-3)
    assert coded_bits(told, link, "ifmap") == pytest.approx(64 / 3 / 2, rel=1e-3)


@pytest.mark.parametrize(("stride", "words"), [(1, 7), (2, 11), (3, 15), (4, 5 * 3)])
def test_sliding_windows_fetch_each_word_once(stride: int, words: int) -> None:
    """5 windows of 3: (5 - 1) * stride + 3 words, but 15 where the stride leaves gaps."""
    nodes = (Store("DRAM", ALL), Loop("Q", 1), Store("spad", ("ifmap",)), Loop("S", 1))
    line = machine(dram_level(), spad_level(PADS[0]))
    layer = Layer(name="row", Q=5, S=3, stride_w=stride)
    moves = by_link(transfers(layer, Mapping(nodes), line))
    assert moves["ifmap", "DRAM", "spad"].link.reads == words
    assert moves["ifmap", "spad", "MAC"].link.reads == 15


@pytest.mark.parametrize(("kept", "words"), [(False, 4 * 6), (True, 6 * 10)])
def test_padding_is_data_only_where_the_machine_stores_it(kept: bool, words: int) -> None:
    """A 4 x 6 ifmap with 1 row and 2 columns of padding about it is 6 x 10."""
    layer = Layer(name="pad", P=4, Q=6, R=3, S=5, H=4, W=6, pad_h=1, pad_w=2)
    loops = tuple(Loop(dim, 1) for dim in "PQRS")
    plain = machine(dram_level(), glb_level(), stores_padding=kept)
    moves = by_link(transfers(layer, Mapping((*KEPT, *loops)), plain))
    assert moves["ifmap", "DRAM", "GLB"].link.reads == words


def test_groups_touch_their_own_channels_alone() -> None:
    """Depthwise: every tensor crosses once, however the groups are cut."""
    layer = Layer(name="dw", G=6, P=3, Q=4, R=2, S=3)
    for groups in (1, 4, 6):
        loops = (Loop("G", groups),) if groups < 6 else ()
        inner = tuple(Loop(dim, 1) for dim in "GPQRS" if (dim, groups) != ("G", 1))
        nodes: tuple[Node, ...] = (Store("DRAM", ALL), *loops, Store("GLB", ALL), *inner)
        moves = by_link(transfers(layer, Mapping(nodes), machine(dram_level(), glb_level())))
        assert moves["ifmap", "DRAM", "GLB"].link.reads == 6 * 4 * 6
        assert moves["weight", "DRAM", "GLB"].link.reads == 6 * 2 * 3
        assert moves["ofmap", "DRAM", "GLB"].link.writes == 6 * 3 * 4


@given(cases())
@settings(max_examples=40, deadline=None)
def test_no_operation_is_lost_or_invented(case: Case) -> None:
    """MACs get an ifmap word and a weight, and give a psum, for every point of the nest."""
    layer, mapping, machine = case
    points = prod(layer.bounds.values())
    assert oracle.total_macs(layer, mapping) == points == layer.operations
    at_macs = [m.link for m in transfers(layer, mapping, machine) if m.link.child == oracle.MAC]
    assert [link.tensor for link in at_macs] == list(layer.tensors)
    for link in at_macs:
        times = layer.operands if link.tensor == "ifmap" else 1
        words = link.collected if link.tensor == "ofmap" else link.delivered
        assert words == times * points


@given(cases())
@settings(max_examples=40, deadline=None)
def test_narrower_words_never_move_more_bits(case: Case) -> None:
    layer, mapping, machine = case
    narrow = layer.at_bits(
        ifmap=max(1, layer.ifmap.bits // 2),
        weight=layer.weight.bits - 1,
        ofmap=max(1, layer.ofmap.bits - 3),
        psum=layer.psum.bits // 2,
    )
    for less, more in zip(
        transfers(narrow, mapping, machine), transfers(layer, mapping, machine), strict=True
    ):
        assert less.link == more.link
        assert less.parent_read_bits <= more.parent_read_bits
        assert less.parent_write_bits <= more.parent_write_bits
        assert less.child_read_bits <= more.child_read_bits
        assert less.child_write_bits <= more.child_write_bits
