"""What is said to have paid is what the simulator says, with one property taken back."""

from dataclasses import replace

import numpy as np
import pytest

from compressors.codesign import Simulator
from compressors.codesign._explain import CHANNELS, CODE, IFMAP_BITS, WEIGHT_BITS, gains, paid
from hwsim.hardware import load_machine
from hwsim.simulate import best_mapping
from hwsim.workload import Decoder, Layer, Op, Primitive, Stored, Tensor, Zeros

BITS = 16


def plain(bits: int = BITS) -> Layer:
    """A convolution that is not square."""
    word = Tensor(bits=bits)
    layer = Layer(name="conv", op=Op.CONV, K=16, C=8, P=12, Q=10, R=3, S=2)
    return replace(layer, ifmap=word, weight=word, ofmap=word, psum=Tensor(bits=2 * bits))


def said(layer: Layer, before: Layer, machine: str) -> tuple[dict[str, float | None], str]:
    chip = load_machine(machine)
    found = gains(layer, before, Simulator(machine=chip, objective="energy"), BITS)
    by_name = {gain.prop: gain.energy_pj for gain in found}
    return by_name, paid(found, chip, layer, by_time=False)


def test_a_property_saves_what_the_layer_costs_more_without() -> None:
    before = plain()
    layer = replace(before, weight=Tensor(bits=4), ifmap=Tensor(bits=8))
    found, _ = said(layer, before, "eyeriss_v1")
    chip = load_machine("eyeriss_v1")
    wide = replace(layer, weight=Tensor(bits=16))
    costs = [best_mapping(one, chip, objective="energy")[1].energy_pj for one in (wide, layer)]
    assert found[WEIGHT_BITS] == pytest.approx(costs[0] - costs[1])
    assert found[IFMAP_BITS] is not None
    assert set(found) == {WEIGHT_BITS, IFMAP_BITS}


def test_zeros_pay_only_where_they_are_skipped_or_gated() -> None:
    """In the MACs of a machine that does neither, zero weights save nothing."""
    before = plain(8)
    mask = np.arange(16 * 8 * 3 * 2).reshape(16, 8, 3, 2) % 4 == 0
    layer = replace(before, weight=Tensor(bits=8, zeros=Zeros.of(mask)))
    for machine, skips in (("zero_skipping", True), ("systolic_ws", False)):
        chip = load_machine(machine)
        found = gains(layer, before, Simulator(machine=chip, objective="energy"), 8)
        (gain,) = found
        assert (gain.components_pj.get("MAC", 0.0) > 0) == skips
        words = paid(found, chip, layer, by_time=False)
        assert words == "nothing" if not skips else True


def test_shifts_pay_on_a_machine_that_shifts() -> None:
    before = replace(plain(8), weight=Tensor(bits=16))
    layer = replace(before, primitive=Primitive.SHIFT_ADD, terms=2, weight=Tensor(bits=9))
    _, words = said(layer, before, "shiftcnn")
    assert "shifts in place of products" in words or "less time" in words


def test_fewer_channels_are_fewer_macs() -> None:
    before = plain()
    found, words = said(replace(before, K=8), before, "eyeriss_v1")
    assert set(found) == {CHANNELS}
    assert (found[CHANNELS] or 0.0) > 0
    assert words != "nothing"


def test_codes_pay_in_memories_that_decode_them() -> None:
    before = plain()
    code = Stored(bits=16 * 8 * 6 * 4, decoders=(Decoder.CODEBOOK,))
    layer = replace(before, weight=Tensor(bits=16, stored=(code,)))
    for machine in ("eyeriss_v1", "eie"):
        found, _ = said(layer, before, machine)
        assert set(found) == {CODE}


def test_a_layer_that_was_too_wide_runs_at_all_by_its_narrow_words() -> None:
    layer = replace(plain(), ifmap=Tensor(bits=8), weight=Tensor(bits=8))
    found, words = said(layer, plain(), "eyeriss_v1_int8")
    assert found == {WEIGHT_BITS: None, IFMAP_BITS: None}
    assert words == "runs at all by its weight bits"
