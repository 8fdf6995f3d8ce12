"""The shipped machines with arithmetic of their own: each gains from its trait, and from no other.

What was published of them is set beside what hwsim says, and printed.
"""

from dataclasses import replace

import pytest

from hwsim import engine
from hwsim.cost import Cost, cost
from hwsim.errors import InputError
from hwsim.hardware import Accelerator, load_machine
from hwsim.mapping import Mapping
from hwsim.simulate import best_mapping
from hwsim.skipping import mac_cycles
from hwsim.technology import BITWISE_PER_ADD, add_pj, mac_pj, operation_pj, shift_pj
from hwsim.traffic import transfers
from hwsim.workload import Decoder, Layer, Op, Primitive, Stored, Tensor

SHIFTCNN, BIT_FUSION, YODANN, XNOR, EIE, EYERISS, SYSTOLIC = (
    load_machine(name)
    for name in (
        "shiftcnn",
        "bit_fusion",
        "yodann",
        "xnor_array",
        "eie",
        "eyeriss_v1_int8",
        "systolic_ws",
    )
)
CONV = Layer(name="conv", K=48, C=32, P=14, Q=10, R=3, S=3, pad_h=1, pad_w=1, stride_w=2)
CONV8 = CONV.at_bits(ifmap=8, weight=8, ofmap=8, psum=24)


def mac_energy_pj(layer: Layer, machine: Accelerator) -> float:
    return best_mapping(layer, machine)[1].energy_by_component_pj["MAC"]


def shown(what: str, *, found: float, published: float, tolerance: float) -> None:
    """Prints a found number beside a published one, and holds it to the tolerance."""
    print(
        f"{what}: {found:.4g}, published {published:.4g} ({100 * (found / published - 1):+.1f} %)"
    )
    assert found == pytest.approx(published, rel=tolerance)


# ShiftCNN


def shifted(layer: Layer, terms: int) -> Layer:
    """Weights of `terms` indices of 4 bits, each word of 8 bits and more when written out."""
    code = Stored(layer.words("weight") * 4 * terms, (Decoder.POWER_OF_TWO,))
    weight = replace(layer.weight, bits=7 + terms, stored=(code,))
    return replace(layer, weight=weight, primitive=Primitive.SHIFT_ADD, terms=terms)


def test_a_sum_of_powers_of_two_takes_an_addition_for_each() -> None:
    one, two, three = (best_mapping(shifted(CONV8, n), SHIFTCNN)[1] for n in (1, 2, 3))
    for found, times in ((two, 2), (three, 3)):
        assert found.compute_cycles == times * one.compute_cycles
        ratio = found.energy_by_component_pj["MAC"] / one.energy_by_component_pj["MAC"]
        assert ratio == pytest.approx(times)


def test_without_a_multiplier_other_weights_take_an_addition_for_each_signed_digit() -> None:
    """8 bits hold at most 4 non-zero signed digits of value and one more for the rest: 5."""
    shift, multiply = best_mapping(shifted(CONV8, 2), SHIFTCNN)[1], best_mapping(CONV8, SHIFTCNN)[1]
    assert mac_cycles(CONV8, SHIFTCNN.mac) == 5
    assert multiply.compute_cycles * 2 == shift.compute_cycles * 5
    assert multiply.energy_pj > shift.energy_pj


def test_signed_digits_suffice_for_every_weight() -> None:
    """Counted by brute force: the non-adjacent form of every signed number of some bits."""
    for bits in (1, 2, 5, 8, 11):
        most = max(digits(n) for n in range(-(2 ** (bits - 1)), 2 ** (bits - 1)))
        layer = replace(CONV8, weight=Tensor(bits=bits))
        assert most <= mac_cycles(layer, SHIFTCNN.mac) <= most + 1


def digits(number: int) -> int:
    """Non-zero digits of the non-adjacent form: where a number and thrice it differ, halved."""
    magnitude = abs(number)
    return (magnitude ^ (3 * magnitude)).bit_count()


def test_shifts_cost_what_their_parts_do() -> None:
    """An adder, the choice among 17 words, and 17 shifts for 256 filters of 3 x 3."""
    choice = BITWISE_PER_ADD.value * add_pj(bits=24)
    each = add_pj(bits=24) + choice + 17 * shift_pj(bits=8) / (256 * 9)
    assert SHIFTCNN.mac.primitive_pj[Primitive.SHIFT_ADD] == pytest.approx(each, rel=1e-3)
    assert SHIFTCNN.mac.primitive_pj[Primitive.ADD] == pytest.approx(
        add_pj(bits=24) + choice, rel=1e-3
    )


def test_less_arithmetic_than_multipliers_though_not_the_fpgas_share() -> None:
    """A quarter of an 8-bit design's power was published of an FPGA, whose adders are cheaper
    beside its multipliers than an ASIC's."""
    multiply = mac_pj(Primitive.MULTIPLY_ADD, ifmap_bits=8, weight_bits=8, psum_bits=24)
    found = multiply * CONV8.macs / mac_energy_pj(shifted(CONV8, 2), SHIFTCNN)
    print(f"ShiftCNN, N = 2: arithmetic {found:.2f} times less, published 4 of an FPGA's power")
    assert 1.5 < found < 4


def test_indices_move_in_place_of_words_where_they_can_be_read() -> None:
    mapping, found = best_mapping(shifted(CONV8, 1), SHIFTCNN)
    plain = replace(shifted(CONV8, 1), weight=Tensor(bits=8))
    assert weight_dram_bits(plain, mapping, SHIFTCNN) == 2 * weight_dram_bits(
        shifted(CONV8, 1), mapping, SHIFTCNN
    )
    assert found.energy_pj < best_mapping(plain, SHIFTCNN)[1].energy_pj


def weight_dram_bits(layer: Layer, mapping: Mapping, machine: Accelerator) -> float:
    moves = transfers(layer, mapping, machine)
    return sum(
        m.parent_read_bits for m in moves if m.tensor == "weight" and m.parent.cell == "dram"
    )


@pytest.mark.parametrize("machine", [EYERISS, SYSTOLIC], ids=lambda machine: machine.name)
@pytest.mark.parametrize("terms", [1, 3])
def test_a_multiplier_gains_nothing_from_powers_of_two(machine: Accelerator, terms: int) -> None:
    layer = replace(shifted(CONV8, terms), weight=replace(shifted(CONV8, terms).weight, bits=8))
    assert best_mapping(layer, machine) == best_mapping(CONV8, machine)


# Bit Fusion


def at(ifmap: int, weight: int) -> Layer:
    return CONV.at_bits(ifmap=ifmap, weight=weight, ofmap=8, psum=32)


@pytest.mark.parametrize(("ifmap", "weight"), [(2, 2), (2, 4), (8, 2), (4, 4), (16, 8), (16, 16)])
def test_bricks_fuse_to_the_operands(ifmap: int, weight: int) -> None:
    """64 / (ifmap bits x weight bits) multiply-adds of a unit each cycle."""
    each = 64 / (ifmap * weight)
    mapping, found = best_mapping(at(ifmap, weight), BIT_FUSION)
    steps = cost(at(8, 8), mapping, BIT_FUSION).compute_cycles
    assert found.compute_cycles == pytest.approx(steps / each, abs=1)
    energy = found.energy_by_component_pj["MAC"]
    assert energy == pytest.approx(mac_energy_pj(at(8, 8), BIT_FUSION) / each)
    assert 0 < found.utilization <= 1


def test_products_of_two_psums_do_not_fuse() -> None:
    """The 9 products of a depthwise window fill 9 of 16 places of a cycle at 2 bits."""
    depthwise = Layer(name="depthwise", G=64, P=8, Q=8, R=3, S=3)
    mapping, _ = best_mapping(depthwise, BIT_FUSION)
    cycles = {
        bits: cost(
            depthwise.at_bits(ifmap=bits, weight=bits, ofmap=8, psum=32), mapping, BIT_FUSION
        ).compute_cycles
        for bits in (2, 4, 8, 16)
    }
    psums = cycles[8] // 9
    assert cycles == {2: psums, 4: 3 * psums, 8: 9 * psums, 16: 36 * psums}


@pytest.mark.parametrize(("bits", "runs"), [(1, 2), (3, 4), (5, 8), (7, 8), (9, 16)])
def test_other_widths_run_at_the_next_one(bits: int, runs: int) -> None:
    assert mac_cycles(at(bits, 8), BIT_FUSION.mac) == mac_cycles(at(runs, 8), BIT_FUSION.mac)


def test_fewer_bits_are_faster_and_cheaper_on_bit_fusion_alone() -> None:
    """A fixed datapath moves fewer bits of DRAM at most."""
    wide, narrow = (best_mapping(at(bits, bits), BIT_FUSION)[1] for bits in (8, 4))
    assert narrow.compute_cycles * 4 == wide.compute_cycles
    assert narrow.cycles * 3 < wide.cycles
    for bits in (8, 4):
        print(f"bit_fusion at {bits} bits: {best_mapping(at(bits, bits), BIT_FUSION)[1].cycles}")
    mapping, plain = best_mapping(at(8, 8), SYSTOLIC)
    fixed = cost(at(4, 4), mapping, SYSTOLIC)
    assert fixed.compute_cycles == plain.compute_cycles
    assert fixed.energy_by_component_pj["MAC"] == plain.energy_by_component_pj["MAC"]


def test_a_unit_takes_the_power_of_its_synthesis() -> None:
    """systolic_array_synth.csv: 4 x 4 units of 8 bits at most, 2 at least, at 500 MHz."""
    each = operation_pj(
        BIT_FUSION, Primitive.MULTIPLY_ADD, ifmap_bits=8, weight_bits=8, psum_bits=32
    )
    shown("8-bit unit, pJ a cycle", found=each, published=3673.5 / 16 / 500, tolerance=1e-3)
    leakage = BIT_FUSION.control.leakage_mw / 512
    shown("its leakage, mW", found=leakage, published=0.94924 / 16, tolerance=2e-3)


def test_the_peak_is_the_published_one() -> None:
    """512 units at 500 MHz: 256 GMAC/s at 8 bits, 4 TMAC/s at 2."""
    for bits, published in ((8, 256), (2, 4096)):
        rate = BIT_FUSION.pes / mac_cycles(at(bits, bits), BIT_FUSION.mac)
        assert float(rate) * BIT_FUSION.clock_mhz / 1e3 == published


# YodaNN

FULL = Layer(name="full", K=32, C=32, P=26, Q=40, R=7, S=7, primitive=Primitive.ADD).at_bits(
    ifmap=12, weight=1, ofmap=12, psum=17
)


def test_yodann_reaches_its_published_peak() -> None:
    found = 2 * FULL.macs / best_mapping(FULL, YODANN)[1].compute_cycles * YODANN.clock_mhz / 1e3
    shown("YodaNN, GOp/s while it computes", found=found, published=1510, tolerance=0.01)


def test_yodanns_core_takes_its_published_power_at_full_load() -> None:
    """The wires' energy is fitted on it; DRAM is no part of it."""
    _, found = best_mapping(FULL, YODANN)
    core_pj = found.energy_pj - found.energy_by_component_pj["DRAM"]
    power_mw = core_pj / found.compute_cycles * YODANN.clock_mhz / 1e3
    shown("YodaNN's core, mW", found=power_mw, published=153, tolerance=0.06)


def test_binary_weights_add_and_all_others_are_refused() -> None:
    sums = [
        operation_pj(YODANN, primitive, ifmap_bits=12, weight_bits=1, psum_bits=17)
        for primitive in (Primitive.ADD, Primitive.MULTIPLY_ADD, Primitive.XNOR_POPCOUNT)
    ]
    assert len(set(sums)) == 1
    with pytest.raises(InputError, match="weight of 2 bits is wider than the 1-bit MACs of yodann"):
        best_mapping(replace(FULL, weight=Tensor(bits=2)), YODANN)


def test_binary_weights_save_the_multiplier() -> None:
    """An order of magnitude beside 12-bit multipliers on the same process (catalogued trend)."""
    multiplier = replace(FULL, primitive=Primitive.MULTIPLY_ADD, weight=Tensor(bits=12))
    mac = {"weight_bits": 12, "primitives": (Primitive.MULTIPLY_ADD,)}
    sibling = YODANN.model_copy(update={"mac": YODANN.mac.model_copy(update=mac)})
    each = (
        operation_pj(
            machine,
            layer.primitive,
            ifmap_bits=12,
            weight_bits=layer.weight.bits,
            psum_bits=17,
        )
        for machine, layer in ((sibling, multiplier), (YODANN, FULL))
    )
    twelve, one = each
    print(f"12-bit multiply-add beside an add, 65 nm 1.2 V: {twelve / one:.1f}")
    assert 5 < twelve / one < 15


def test_binary_weights_save_no_arithmetic_where_there_is_no_adder_for_them() -> None:
    binary = replace(CONV8, weight=Tensor(bits=1))
    for machine in (EYERISS, SYSTOLIC):
        mapping, _ = best_mapping(CONV8, machine)
        found, plain = cost(binary, mapping, machine), cost(CONV8, mapping, machine)
        assert found.energy_by_component_pj["MAC"] == plain.energy_by_component_pj["MAC"]
        assert found.compute_cycles == plain.compute_cycles
        with_add = cost(replace(binary, primitive=Primitive.ADD), mapping, machine)
        assert with_add == found


# XNOR

BINARY = replace(CONV, primitive=Primitive.XNOR_POPCOUNT).at_bits(
    ifmap=1, weight=1, ofmap=1, psum=16
)


def test_bits_are_counted_for_less_than_words_are_multiplied() -> None:
    counted = mac_energy_pj(BINARY, XNOR) / BINARY.macs
    multiplied = mac_energy_pj(CONV8, SYSTOLIC) / CONV8.macs
    print(f"8-bit multiply-add beside XNOR and count: {multiplied / counted:.0f}")
    assert counted * 20 < multiplied
    with pytest.raises(InputError, match="ifmap of 8 bits is wider than the 1-bit MACs"):
        best_mapping(CONV8, XNOR)


def test_each_term_of_a_residual_is_a_pass() -> None:
    """Two planes of an order-2 residual (HORQ) are two XNORs and counts."""
    one, two = (best_mapping(replace(BINARY, terms=n), XNOR)[1] for n in (1, 2))
    assert two.compute_cycles == 2 * one.compute_cycles
    assert two.energy_by_component_pj["MAC"] == 2 * one.energy_by_component_pj["MAC"]


def test_signs_gain_no_arithmetic_on_multipliers() -> None:
    mapping, _ = best_mapping(CONV8, SYSTOLIC)
    signs = replace(BINARY, psum=CONV8.psum)
    plain = replace(signs, primitive=Primitive.MULTIPLY_ADD)
    assert cost(signs, mapping, SYSTOLIC) == cost(plain, mapping, SYSTOLIC)


# EIE

CODES = (Decoder.CODEBOOK, Decoder.RELATIVE_INDEX)


def pruned(layer: Layer, weight: float, ifmap: float = 1.0, *, coded: bool = True) -> Layer:
    """Weights of such a density, in entries of 8 bits, one for each non-zero and one more where 15
    zeros stand before it without any."""
    padding = (1 - weight) ** 16 / (1 - (1 - weight) ** 16)
    entries = round(layer.words("weight") * weight * (1 + padding))
    code = (Stored(8 * entries, CODES),) if coded else ()
    weights = Tensor(density=weight, stored=code)
    return replace(layer, weight=weights, ifmap=Tensor(density=ifmap))


FC = Layer(name="fc", op=Op.LINEAR, K=500, C=300, psum=Tensor(bits=16))
# AlexNet's FC8 as EIE ran it.
ALEX_8 = Layer(name="Alex-8", op=Op.LINEAR, K=1000, C=4096, psum=Tensor(bits=16))


def parts(found: Cost) -> dict[str, float]:
    return found.energy_by_component_pj


def test_eie_gains_from_a_code_that_it_reads() -> None:
    mapping, found = best_mapping(pruned(FC, 0.1), EIE)
    plain = cost(pruned(FC, 0.1, coded=False), mapping, EIE)
    assert weight_dram_bits(pruned(FC, 0.1), mapping, EIE) == pruned(FC, 0.1).weight.stored[0].bits
    assert parts(found)["DRAM"] * 10 < parts(plain)["DRAM"]
    assert parts(found)["spad"] * 5 < parts(plain)["spad"]
    assert found.cycles == plain.cycles


def test_eie_cannot_read_a_prefix_code_and_keeps_the_other() -> None:
    both = pruned(FC, 0.1)
    shorter = Stored(both.weight.stored[0].bits // 2, (*CODES, Decoder.HUFFMAN))
    coded = replace(both, weight=replace(both.weight, stored=(shorter, *both.weight.stored)))
    assert best_mapping(coded, EIE) == best_mapping(both, EIE)


def test_eie_skips_zeros_of_both_operands() -> None:
    dense, sparse, both = (
        best_mapping(layer, EIE)[1] for layer in (FC, pruned(FC, 0.2), pruned(FC, 0.2, ifmap=0.5))
    )
    assert both.compute_cycles < sparse.compute_cycles < dense.compute_cycles
    assert dense.compute_cycles * 0.2 <= sparse.compute_cycles
    assert parts(sparse)["MAC"] == pytest.approx(0.2 * parts(dense)["MAC"])


def test_a_pe_of_eie_takes_its_published_power_with_an_entry_a_cycle() -> None:
    weight, ofmap, ifmap = (EIE.level("PE").memory(t) for t in ("weight", "ofmap", "ifmap"))
    assert weight
    assert ofmap
    assert ifmap
    entry_pj = 8 * (weight.read_pj_per_bit or 0) + 16 * (ifmap.read_pj_per_bit or 0)
    entry_pj += 16 * ((ofmap.read_pj_per_bit or 0) + (ofmap.write_pj_per_bit or 0))
    entry_pj += (EIE.mac.multiply_add_pj or 0) + EIE.control.clock_pj_per_cycle / 64
    shown("EIE's PE, mW", found=entry_pj * 0.8, published=9.157, tolerance=0.01)


def test_alexnets_fc8_on_eie() -> None:
    """Published 9.9 us, at 0.59 W. The queues' waiting and padding's cycles are not in the time;
    what loads the SRAM, and DRAM, are not in the energy: EIE holds the network."""
    layer = pruned(ALEX_8, 0.25, 0.375)
    mapping, found = best_mapping(layer, EIE)
    loaded = [m for m in transfers(layer, mapping, EIE) if m.tensor == "weight" and m.child]
    loading_pj = sum(
        m.child_write_bits * 0.774 + m.noc_words * m.wire_bits(EIE.arrays[0]) * 0.105
        for m in loaded
    )
    core_uj = (found.energy_pj - parts(found)["DRAM"] - loading_pj) / 1e6
    shown("Alex-8, us", found=found.cycles / 800, published=9.9, tolerance=0.25)
    shown("Alex-8, uJ", found=core_uj, published=9.9 * 0.59, tolerance=0.25)


# Event by event


@pytest.mark.parametrize(
    ("layer", "machine"),
    [
        (shifted(CONV8, 2), SHIFTCNN),
        (at(4, 2), BIT_FUSION),
        (at(16, 5), BIT_FUSION),
        (FULL, YODANN),
        (replace(BINARY, terms=2), XNOR),
        (pruned(FC, 0.2, ifmap=0.5), EIE),
    ],
    ids=lambda each: each.name,
)
def test_the_engine_takes_no_fewer_cycles_and_all_the_arithmetic(
    layer: Layer, machine: Accelerator
) -> None:
    mapping, found = best_mapping(layer, machine)
    played = engine.run([(layer, mapping)], machine, trace=False)
    assert played.compute_cycles == found.compute_cycles
    assert found.cycles <= played.cycles <= found.cycles + played.contention_cycles + 2
