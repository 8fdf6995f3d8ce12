"""Weights in codes of their own: a memory that decodes them moves and keeps their bits, no other
gains anything."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.config import parse
from hwsim.cost import COMPONENTS, Cost, cost
from hwsim.errors import ConfigError, InputError
from hwsim.explain import fills
from hwsim.found import Question
from hwsim.hardware import Accelerator, load_machine
from hwsim.map_space import sampled
from hwsim.mapper import best
from hwsim.mapping import Loop, Mapping, Store, overflow
from hwsim.objective import Objective
from hwsim.simulate import best_mapping
from hwsim.traffic import transfers
from hwsim.workload import TENSORS, Decoder, Layer, Op, Primitive, Storage, Stored, Tensor
from tests.machines import (
    CONV,
    DATAFLOWS,
    DRAM,
    GLB,
    GRID,
    MAC,
    MATMUL,
    PADS,
    PRECISIONS,
    SQUARE,
    STATIONARY,
    convs,
    dram_level,
    glb_level,
    machine,
    sized,
    slotted,
    spad_level,
)

CODEBOOK, HUFFMAN = (Decoder.CODEBOOK,), (Decoder.CODEBOOK, Decoder.HUFFMAN)
CODED_PADS = tuple(
    pad.model_copy(update={"decoders": {"weight": CODEBOOK} if "weight" in pad.tensors else {}})
    for pad in PADS
)


def coding(*decoders: Decoder) -> dict[str, object]:
    return {"decoders": {"weight": decoders}}


def reading(levels: int = 1, *decoders: Decoder, slot_bits: int = 1) -> Accelerator:
    """A machine of which so many levels, outermost first, decode weights."""
    able = coding(*(decoders or CODEBOOK))
    dram = slotted(DRAM, slot_bits).model_copy(update=able)
    glb = GLB.model_copy(update=able if levels > 1 else {})
    pads = CODED_PADS if levels > 2 else PADS
    return machine(dram_level(dram), glb_level(glb), GRID, spad_level(*pads))


def stored(layer: Layer, *codes: Stored, bits: int = 0) -> Layer:
    """The layer with such codes of its weights, or of one of such bits that needs a codebook."""
    return replace(layer, weight=replace(layer.weight, stored=codes or (Stored(bits, CODEBOOK),)))


def weight_bits(layer: Layer, mapping: Mapping, where: Accelerator) -> dict[str, float]:
    """Bits read of weights, by level."""
    moves = transfers(layer, mapping, where)
    return {move.link.parent: move.parent_read_bits for move in moves if move.tensor == "weight"}


def differing(one: Cost, other: Cost) -> set[str]:
    by = one.energy_by_component_pj, other.energy_by_component_pj
    return {name for name in COMPONENTS if by[0][name] != by[1][name]}


# No decoder, no gain


@given(convs(), st.sampled_from(DATAFLOWS), st.integers(0, 64))
@settings(max_examples=20, deadline=None)
def test_a_machine_without_a_decoder_gains_nothing(layer: Layer, dataflow: str, bits: int) -> None:
    plain = machine(dataflow=dataflow)
    assert best_mapping(stored(layer, bits=bits), plain) == best_mapping(layer, plain)


@pytest.mark.parametrize("name", ["eyeriss_v1", "zero_skipping", "systolic_ws"])
def test_shipped_machines_without_decoders_gain_nothing(name: str) -> None:
    where = load_machine(name)
    layer = CONV.at_bits(ifmap=8, weight=8, ofmap=8, psum=16)
    every = Stored(7, tuple(Decoder))
    assert best_mapping(stored(layer, every), where) == best_mapping(layer, where)


def test_one_decoder_of_two_is_none() -> None:
    half = reading(2, Decoder.CODEBOOK)
    assert best_mapping(stored(CONV, Stored(99, HUFFMAN)), half) == best_mapping(CONV, half)


def test_a_code_that_is_longer_than_the_words_is_left_alone() -> None:
    where = reading(3)
    longer = stored(CONV, bits=CONV.words("weight") * CONV.weight.bits + 1)
    assert best_mapping(longer, where) == best_mapping(CONV, where)


# A decoder's gain


@given(convs(), st.integers(0, 3000), st.sampled_from((1, 16)))
@settings(max_examples=30, deadline=None)
def test_a_decoder_at_dram_brings_its_traffic_down_to_the_code_alone(
    layer: Layer, bits: int, slot: int
) -> None:
    """Whole slots of it, as often as the mapping fetches weights; steps and all else stay."""
    where = reading(slot_bits=slot)
    mapping, dense = best_mapping(layer, where)
    coded = stored(layer, bits=bits)
    found = cost(coded, mapping, where)
    before, after = (weight_bits(each, mapping, where)["DRAM"] for each in (layer, coded))
    words = layer.words("weight")
    expected = before / (words * 16) * min(ceil(bits / slot) * slot, words * 16)
    assert after == pytest.approx(expected, rel=1e-12)
    assert dense.dram_read_bits - found.dram_read_bits == pytest.approx(before - after, abs=1)
    assert differing(found, dense) <= {"DRAM"}
    assert found.cycles == dense.cycles


@given(convs(), st.tuples(st.integers(0, 4000), st.integers(0, 4000)), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_a_shorter_code_never_costs_more(layer: Layer, pair: tuple[int, int], levels: int) -> None:
    """Under one mapping, wherever it is decoded; never a step."""
    where = reading(levels)
    mapping, dense = best_mapping(layer, where)
    short, long = (cost(stored(layer, bits=bits), mapping, where) for bits in sorted(pair))
    assert short.energy_pj <= long.energy_pj <= dense.energy_pj * (1 + 1e-12)
    assert short.cycles <= long.cycles <= dense.cycles
    assert short.compute_cycles == long.compute_cycles == dense.compute_cycles


def test_the_shortest_code_that_can_be_read_is_the_one_that_lies_there() -> None:
    """DRAM reads both, the buffer one: words of 3 bits become words of 5."""
    dram = DRAM.model_copy(update=coding(*HUFFMAN))
    glb = GLB.model_copy(update=coding(*CODEBOOK))
    where = machine(dram_level(dram), glb_level(glb), GRID, spad_level())
    words = CONV.words("weight")
    coded = stored(CONV, Stored(words * 3, HUFFMAN), Stored(words * 5, CODEBOOK))
    mapping = Mapping((Store("DRAM", TENSORS), Store("GLB", TENSORS), Store("spad", TENSORS)))
    moves = {m.link.parent: m for m in transfers(coded, mapping, where) if m.tensor == "weight"}
    bits = [(moves[at].parent_read_bits, moves[at].child_write_bits) for at in ("DRAM", "GLB")]
    assert bits == [(words * 3, words * 5), (words * 5, words * 16)]


def test_a_code_beside_a_format_is_held_if_it_is_shorter() -> None:
    formats = {"formats": {"weight": Storage.BITMAP}} | coding(*CODEBOOK)
    where = machine(dram_level(DRAM.model_copy(update=formats)), *machine().hierarchy[1:])
    words = CONV.words("weight")
    sparse = replace(CONV, weight=Tensor(density=0.25))
    mapping, _ = best_mapping(CONV, where)
    each = weight_bits(CONV, mapping, where)["DRAM"] / 16
    for share, held in ((6, 5), (4, 4)):
        coded = stored(sparse, bits=words * share)
        assert weight_bits(coded, mapping, where)["DRAM"] == pytest.approx(each * held)


def test_pads_that_decode_spare_the_wires_too() -> None:
    """MATMUL's 12 weights of 4 bits reach the pads once each, in a code of 2 bits a weight."""
    able = CODED_PADS[1]
    dram, buffer, array, _ = SQUARE.hierarchy
    assert buffer == SQUARE.level("GLB")
    decoding = dram_level(DRAM.model_copy(update=coding(*CODEBOOK)))
    where = machine(decoding, SQUARE.level("GLB"), SQUARE.arrays[0], spad_level(able))
    assert (dram, array) == (SQUARE.levels[0], where.arrays[0])
    plain, found = (
        cost(layer, STATIONARY, where).energy_by_component_pj
        for layer in (MATMUL, stored(MATMUL, bits=24))
    )
    saved = {name: plain[name] - found[name] for name in COMPONENTS if plain[name] != found[name]}
    assert saved == {"DRAM": 24 * 211, "NoC": 24 * 17, "spad": 24 * 2 * 5 + 24 * 7}


def test_zeros_that_are_skipped_cost_what_they_take_in_the_code() -> None:
    """3 of MATMUL's 12 weights are kept: the entries of all that meet an ifmap word are read."""
    able = CODED_PADS[1]
    decoding = dram_level(DRAM.model_copy(update=coding(*CODEBOOK)))
    skipping = machine(
        decoding,
        SQUARE.level("GLB"),
        SQUARE.arrays[0],
        spad_level(able),
        mac=MAC.model_copy(update={"zero_skipping": ("ifmap", "weight")}),
    )
    sparse = replace(MATMUL, weight=Tensor(bits=4, density=0.25), ifmap=Tensor(bits=8, density=0.5))
    energy = cost(stored(sparse, bits=18), STATIONARY, skipping).energy_by_component_pj
    assert energy["spad"] == pytest.approx(24 * 0.5 * 1.5 * 5 + 12 * 1.5 * 7)
    plain = cost(sparse, STATIONARY, skipping).energy_by_component_pj
    assert plain["spad"] == pytest.approx(24 * 0.5 * 0.25 * 4 * 5 + 12 * 4 * 7)


# Room


def whole(layer: Layer, level: str) -> Mapping:
    """All weights in one memory, everything else passing it by."""
    loops = (Loop(dim, 1) for dim in "KC")
    return Mapping((Store("DRAM", TENSORS), Store(level, ("weight",)), *loops))


def test_what_lies_coded_takes_a_codes_room() -> None:
    layer = Layer(name="fc", op=Op.LINEAR, K=20, C=30)
    able = sized(GLB, 600 * 5).model_copy(update=coding(*CODEBOOK))
    read = machine(dram_level(DRAM.model_copy(update=coding(*CODEBOOK))), glb_level(able))
    plain = machine(dram_level(), glb_level(sized(GLB, 600 * 5)))
    mapping = whole(layer, "GLB")
    for bits, fits in ((600 * 5, True), (600 * 5 + 1, False)):
        coded = stored(layer, bits=bits)
        assert (overflow(mapping, coded, read) is None) == fits
        assert next(fills(mapping, coded, read)).bits == bits
        assert str(overflow(mapping, coded, plain)).startswith("GLB: weight 9600 bits exceed 3000")


def test_a_mapping_that_only_a_code_makes_fit_is_found() -> None:
    """More of the weights stay in the buffer while images pass."""
    layer = Layer(name="fc", op=Op.LINEAR, N=64, K=64, C=96)
    small = sized(GLB, 40 * 1024)
    able = small.model_copy(update=coding(*CODEBOOK))
    dram = dram_level(DRAM.model_copy(update=coding(*CODEBOOK)))
    coded = stored(layer, bits=layer.words("weight") * 4)
    found = {
        name: best_mapping(
            coded,
            machine(dram, glb_level(glb), GRID, spad_level(), dataflow="output_stationary"),
            objective="energy",
        )[1]
        for name, glb in (("below", able), ("above", small))
    }
    assert found["below"].energy_pj < found["above"].energy_pj
    assert found["below"].dram_read_bits * 2 < found["above"].dram_read_bits


# The search of all mappings


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "levels", "objective"),
    [(PRECISIONS[1], 3, "energy"), (PRECISIONS[2], 1, "edp")],
)
def test_the_search_bounds_machines_that_decode_and_scale(
    precision: object, levels: int, objective: Objective
) -> None:
    where = reading(levels).model_copy(
        update={"mac": MAC.model_copy(update={"precision": precision})}
    )
    layer = stored(replace(CONV, weight=Tensor(bits=5)), bits=CONV.words("weight") * 3)
    question = Question(layer=layer, machine=where, objective=objective, effort=300)
    found = best(question)
    assert found.lower_bound <= found.value
    assert found.cost == cost(layer, found.mapping, where)
    for mapping in sampled(layer, where, count=100, seed=1):
        each = cost(layer, mapping, where)
        value = each.energy_pj * (each.cycles if objective == "edp" else 1)
        assert value >= found.lower_bound * (1 - 1e-9)


# What is refused


def test_a_code_cannot_pass_a_memory_that_does_not_know_it() -> None:
    content = reading(2).model_dump(mode="json")
    assert parse(content, Accelerator, file="mine.yaml") == reading(2)
    content["hierarchy"][0]["memories"][0]["decoders"] = {}
    with pytest.raises(ConfigError) as refused:
        parse(content, Accelerator, file="mine.yaml")
    assert str(refused.value) == (
        "mine.yaml: GLB.decoders = ['codebook']: DRAM above cannot pass on a code that it has no "
        "decoder for"
    )


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: Stored(-1, CODEBOOK), "stored: bits = -1: must lie in 0.."),
        (lambda: Stored(8, ()), "stored: decoders = (): what needs none is no code"),
        (
            lambda: replace(CONV, ifmap=Tensor(stored=(Stored(8, CODEBOOK),))),
            "layer 'conv': ifmap: has no weights to store in a code",
        ),
        (
            lambda: Layer(name="pool", op=Op.POOL, weight=Tensor(stored=(Stored(8, CODEBOOK),))),
            "layer 'pool': weight: has no weights to store in a code",
        ),
        (
            lambda: replace(CONV, terms=2),
            "layer 'conv': terms = 2: must lie in 1..1 of multiply_add",
        ),
        (
            lambda: replace(CONV, terms=0, primitive=Primitive.SHIFT_ADD),
            "layer 'conv': terms = 0: must lie in 1..64 of shift_add",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(build: Callable[[], object], complaint: str) -> None:
    with pytest.raises(InputError) as refused:
        build()
    assert str(refused.value).startswith(complaint)
    assert "\n" not in str(refused.value)


def test_decoders_are_a_set() -> None:
    assert Stored(8, (Decoder.HUFFMAN, Decoder.CODEBOOK)) == Stored(8, HUFFMAN)
