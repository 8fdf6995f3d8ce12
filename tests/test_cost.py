"""Energy against sums done by hand and against a loop walk's counts times stated energies."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cost import COMPONENTS, GATED_SHARE, cost, fused_cost
from hwsim.errors import InputError
from hwsim.hardware import Accelerator, Control, Mac
from hwsim.mapping import Mapping, validate
from hwsim.reuse import Link
from hwsim.skipping import random_mask, ungated_share
from hwsim.workload import Layer, Op, Primitive, Tensor, Zeros
from tests import machines, oracle
from tests.machines import MATMUL, SQUARE, STATIONARY, cases, coded_bits, convs


def test_a_matrix_product_worked_by_hand() -> None:
    """K goes in tiles of 2 and 1, so the second column of PEs idles through the second tile.

    Steps: 2 K-tiles x 2 C-tiles x 2 n = 8, of 4, 4, 4, 4, 2, 2, 2, 2 MACs.

    Words, at 8 bits an ifmap, 4 a weight, 16 a psum, 8 a finished ofmap:
    ifmap   DRAM -> GLB 8, once each; GLB -> PEs 2 a step (the columns share them) = 16, which
            reach 24 PEs
    weight  DRAM -> pads 12, once each; pads -> MACs 24, one an operation
    ofmap   24 psums leave MACs, rows add theirs in pairs: 12 pass to a neighbour, 12 reach the GLB;
            each of the 6 is made in 2 C-tiles, so 6 are read back first; 6 go on to DRAM
    """
    validate(STATIONARY, MATMUL, SQUARE)
    found = cost(MATMUL, STATIONARY, SQUARE)
    assert found.energy_by_component_pj == {
        "DRAM": (8 * 8 + 12 * 4) * 211 + 6 * 8 * 223,
        "GLB": 16 * 8 * 29 + 8 * 8 * 31 + (6 + 6) * 16 * 29 + 12 * 16 * 31,
        "NoC": (24 * 8 + 12 * 4 + (6 + 12) * 16) * 17,
        "spad": 24 * 4 * 5 + 12 * 4 * 7,
        "MAC": 24 * 19,
        "clock": 8 * 37,
        "leakage": 8 * 41,  # 1 mW for 1 ns is 1 pJ
    }
    assert found.energy_pj == 34336 + 17216 + 8976 + 816 + 456 + 296 + 328
    assert (found.cycles, found.utilization) == (8, 24 / (8 * 4))
    assert (found.dram_read_bits, found.dram_write_bits, found.dram_bits) == (112, 48, 160)


WORKED = cost(MATMUL, STATIONARY, SQUARE)


def test_a_gating_machine_saves_the_weight_read_and_the_mac_alone() -> None:
    gating = SQUARE.model_copy(
        update={"mac": machines.MAC.model_copy(update={"zero_gating": True})}
    )
    sparse = replace(MATMUL, ifmap=Tensor(bits=8, density=0.25))
    dense, gated = (cost(layer, STATIONARY, gating) for layer in (MATMUL, sparse))
    saved = {
        name: dense.energy_by_component_pj[name] - gated.energy_by_component_pj[name]
        for name in COMPONENTS
    }
    assert saved.pop("MAC") == pytest.approx(0.75 * 24 * 19 * (1 - GATED_SHARE))
    assert saved.pop("spad") == 0.75 * 24 * 4 * 5
    assert not any(saved.values())
    assert gated.cycles == dense.cycles


# Where MATMUL's operands are non-zero: [n, c] and [k, c].
IFMAP = np.array([[1, 0, 1, 1], [0, 1, 1, 0]], bool)
WEIGHT = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
KNOWN = replace(
    MATMUL,
    ifmap=Tensor(bits=8, zeros=Zeros.of(IFMAP.reshape(2, 4, 1, 1))),
    weight=Tensor(bits=4, zeros=Zeros.of(WEIGHT.reshape(3, 4, 1, 1))),
)


def skipping(*operands: Literal["ifmap", "weight"], level: str = "spad") -> Accelerator:
    mac = machines.MAC.model_copy(update={"zero_skipping": operands, "sync_level": level})
    return SQUARE.model_copy(update={"mac": mac})


@pytest.mark.parametrize("level", ["spad", "GLB", ""])
def test_a_skipping_machine_does_what_is_left_worked_by_hand(level: str) -> None:
    """k = 0 meets 1 non-zero for each n, k = 1 none, k = 2 meets 3 and 2: 7 MACs of 24.

    Pads change with K and C, in tiles of two: the busiest lane has 1, 0, 1 and 2 MACs. The one with
    c = 0 and 2 has all of these, so that it takes 4 cycles however lanes wait.
    """
    found, dense = cost(KNOWN, STATIONARY, skipping("ifmap", "weight", level=level)), WORKED
    assert (found.cycles, found.compute_cycles, found.utilization) == (4, 4, 7 / (4 * 4))
    assert found.energy_by_component_pj == dense.energy_by_component_pj | {
        "MAC": pytest.approx(7 * 19),
        "spad": pytest.approx(7 * 4 * 5 + 12 * 4 * 7),
        "clock": 4 * 37,
        "leakage": 4 * 41,
    }


def test_lanes_wait_where_the_level_says() -> None:
    """Weights left at (k, c) = (0, 0), (0, 1), (2, 1), (2, 2) meet both n: 2 cycles in three of the
    four pairs of tiles. Lanes with c = 0 and 2, and with c = 1 and 3, have 4 MACs in all."""
    left = np.zeros((3, 4, 1, 1), bool)
    left[[0, 0, 2, 2], [0, 1, 1, 2]] = True
    layer = replace(KNOWN, weight=Tensor(bits=4, zeros=Zeros.of(left)))
    waiting, free = (cost(layer, STATIONARY, skipping("weight", level=at)) for at in ("spad", ""))
    assert (waiting.cycles, free.cycles) == (6, 4)
    assert waiting.energy_by_component_pj["MAC"] == pytest.approx(8 * 19)


def test_only_what_is_not_skipped_is_gated() -> None:
    """Of the 12 MACs whose weight is no zero, density 0.25 of the ifmap leaves 3 ungated."""
    mac = skipping("weight").mac.model_copy(update={"zero_gating": True})
    both = SQUARE.model_copy(update={"mac": mac})
    layer = replace(KNOWN, ifmap=Tensor(bits=8, density=0.25))
    energy = cost(layer, STATIONARY, both).energy_by_component_pj
    assert energy["MAC"] == pytest.approx(12 * 19 * (0.25 + 0.75 * GATED_SHARE))
    assert energy["spad"] == pytest.approx(3 * 4 * 5 + 12 * 4 * 7)


def test_known_zeros_are_gated_where_they_are_multiplied() -> None:
    """Of the 12 MACs whose weight is no zero, 7 meet a non-zero ifmap word."""
    mac = skipping("weight").mac.model_copy(update={"zero_gating": True})
    energy = cost(KNOWN, STATIONARY, SQUARE.model_copy(update={"mac": mac}))
    found = energy.energy_by_component_pj
    assert found["MAC"] == pytest.approx(19 * (7 + 5 * GATED_SHARE))
    assert found["spad"] == pytest.approx(7 * 4 * 5 + 12 * 4 * 7)


@given(convs(), st.integers(0, 2), st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_gated_operations_are_a_convolution_of_the_zeros(
    layer: Layer, pad: int, density: float, seed: int
) -> None:
    """Windows pass over rows, overlap, and reach into the padding."""
    pad = min(pad, (layer.H - 1) // 2)
    layer = replace(layer, H=layer.H - 2 * pad, pad_h=pad)
    mask = random_mask(layer.shape("ifmap"), density=density, seed=seed)
    ones = torch.ones(layer.shape("weight"))
    met = torch.nn.functional.conv2d(
        torch.from_numpy(mask).float(),
        ones,
        stride=(layer.stride_h, layer.stride_w),
        padding=(layer.pad_h, layer.pad_w),
        dilation=(layer.dilation_h, layer.dilation_w),
        groups=layer.G,
    )
    known = replace(layer, ifmap=Tensor(zeros=Zeros.of(mask)))
    busy = ungated_share(known, machines.MAC.model_copy(update={"zero_gating": True}))
    assert busy * layer.macs == pytest.approx(float(met.sum()))


def test_a_layer_of_zeros_takes_a_cycle() -> None:
    none = replace(MATMUL, weight=Tensor(bits=4, density=0.0))
    found = cost(none, STATIONARY, skipping("weight"))
    assert (found.cycles, found.utilization) == (1, 0)
    assert found.energy_by_component_pj["MAC"] == 0


def slots_bits(bits: int, slot: int) -> int:
    return (bits + slot - 1) // slot * slot


def naive_pj(layer: Layer, mapping: Mapping, machine: Accelerator) -> dict[str, float]:
    """By component, the walk's words times bits times pJ a bit, one term after the other."""
    energy = dict.fromkeys(COMPONENTS, 0.0)
    shared = {axis: array.shared for array in machine.arrays for axis in array.axes}
    links = oracle.walk(layer, mapping, shared=shared, padding=machine.stores_padding)
    for link in links:
        for level, read, written in ends(layer, machine, link):
            memory = machine.level(level).memory(link.tensor)
            assert memory is not None
            assert memory.read_pj_per_bit is not None
            assert memory.write_pj_per_bit is not None
            energy[machine.level(level).component] += read * memory.read_pj_per_bit
            energy[machine.level(level).component] += written * memory.write_pj_per_bit
        energy["NoC"] += wires_pj(layer, machine, link)
    return energy


def ends(layer: Layer, machine: Accelerator, link: Link) -> Sequence[tuple[str, float, float]]:
    """(level, bits read, bits written) at both ends of a link."""
    record = layer.psum if link.tensor == "ofmap" else layer.tensor(link.tensor)
    bits = kept(layer, machine, link.tensor, link.parent)
    reads, writes = link.reads * bits, link.writes * bits
    if link.parent == "DRAM":
        if link.tensor == "ifmap" and machine.levels[0].memories[0].formats:
            reads = link.reads * min(bits, 1 + record.density * bits)
        if link.tensor == "ofmap":
            unfinished = link.writes - layer.words("ofmap")
            writes = unfinished * layer.psum.bits + layer.words("ofmap") * layer.ofmap.bits
    if link.child == oracle.MAC:
        gates = machine.mac.zero_gating and link.parent in ("spad", "latch")
        busy = layer.ifmap.density if gates and link.tensor != "ifmap" else 1
        return [(link.parent, busy * reads, busy * writes)]
    bits = kept(layer, machine, link.tensor, link.child)
    return [
        (link.parent, reads, writes),
        (link.child, link.collected * bits, link.delivered * bits),
    ]


def kept(layer: Layer, machine: Accelerator, tensor: str, level: str) -> float:
    """Bits of an element in the memory of a level: of a word, or of a code that it reads."""
    memory = machine.level(level).memory(tensor)
    assert memory is not None
    record = layer.psum if tensor == "ofmap" else layer.tensor(tensor)
    return min(slots_bits(record.bits, memory.slot_bits), coded_bits(layer, machine, tensor, level))


def wires_pj(layer: Layer, machine: Accelerator, link: Link) -> float:
    """Words delivered, and psums added up on the way, on each of the arrays in between."""
    if link.parent in ("spad", "latch") or link.child == "GLB":
        return 0.0
    words = link.delivered + link.collected - link.writes
    bits = layer.psum.bits if link.tensor == "ofmap" else layer.tensor(link.tensor).bits
    packed = coded_bits(layer, machine, link.tensor, link.child)
    return sum(
        words * min(packed, slots_bits(bits, array.noc_slot_bits)) * (array.noc_pj_per_bit or 0.0)
        for array in machine.arrays
    )


@given(cases())
@settings(max_examples=60, deadline=None)
def test_energy_is_the_sum_of_walked_counts_times_stated_energies(
    case: tuple[Layer, Mapping, Accelerator],
) -> None:
    layer, mapping, machine = case
    expected = naive_pj(layer, mapping, machine)
    found = cost(layer, mapping, machine)
    each = machines.cycles_a_mac(layer, machine)
    steps = machines.arithmetic_cycles(layer, mapping, machine)
    density = layer.ifmap.density if machine.mac.zero_gating else 1.0
    if layer.weighted:
        widest = machine.mac.precision.cycles if machine.mac.precision else 1
        busy = density + (1 - density) * GATED_SHARE
        expected["MAC"] = layer.macs * 19 * busy * each / widest
    else:
        expected["MAC"] = found.energy_by_component_pj["MAC"]
    expected |= {"clock": 37 * steps, "leakage": 41 * steps}
    assert found.energy_by_component_pj == pytest.approx(expected, rel=1e-12)
    assert found.energy_pj == pytest.approx(sum(expected.values()), rel=1e-12)
    assert found.cycles == steps


@given(cases())
@settings(max_examples=40, deadline=None)
def test_dram_bits_and_dram_energy_tell_the_same(case: tuple[Layer, Mapping, Accelerator]) -> None:
    found = cost(*case)
    energy = found.dram_read_bits * 211 + found.dram_write_bits * 223
    assert energy - 211 < found.energy_by_component_pj["DRAM"] <= energy


def test_leakage_is_power_times_time_and_the_clock_counts_cycles() -> None:
    """8 cycles at 200 MHz are 40 ns; 3 mW for 40 ns are 120 pJ."""
    slow = SQUARE.model_copy(
        update={"clock_mhz": 200, "control": Control(leakage_mw=3, clock_pj_per_cycle=0.5)}
    )
    energy = cost(MATMUL, STATIONARY, slow).energy_by_component_pj
    assert energy["leakage"] == pytest.approx(120)
    assert energy["clock"] == 4


def test_a_fused_layer_costs_its_arithmetic_alone() -> None:
    relu = Layer(name="relu", op=Op.ACTIVATION, N=2, G=3, P=4, Q=5)
    found = fused_cost(relu, SQUARE)
    assert found.energy_pj == found.energy_by_component_pj["MAC"] > 0
    assert (found.cycles, found.dram_bits, found.utilization) == (0, 0, 0)


@pytest.mark.parametrize("primitive", sorted(set(Primitive) - {Primitive.MULTIPLY_ADD}))
def test_a_primitive_that_the_machine_lacks_gains_nothing(primitive: Primitive) -> None:
    plain = cost(MATMUL, STATIONARY, SQUARE)
    assert cost(replace(MATMUL, primitive=primitive), STATIONARY, SQUARE) == plain


@pytest.mark.parametrize("primitive", [Primitive.ADD, Primitive.SHIFT_ADD, Primitive.XNOR_POPCOUNT])
def test_a_primitive_that_the_machine_has_saves_mac_energy_alone(primitive: Primitive) -> None:
    able = SQUARE.model_copy(
        update={"mac": machines.MAC.model_copy(update={"primitives": tuple(Primitive)})}
    )
    plain = cost(MATMUL, STATIONARY, able)
    cheap = cost(replace(MATMUL, primitive=primitive), STATIONARY, able)
    assert cheap.energy_by_component_pj["MAC"] < plain.energy_by_component_pj["MAC"]
    rest = [name for name in COMPONENTS if name != "MAC"]
    assert all(cheap.energy_by_component_pj[n] == plain.energy_by_component_pj[n] for n in rest)
    assert cheap.cycles == plain.cycles


def test_psums_wider_than_the_adder_are_refused_in_one_line() -> None:
    narrow = SQUARE.model_copy(update={"mac": Mac(psum_bits=8)})
    with pytest.raises(InputError, match=r"psum_bits = 8: layer needs 16") as error:
        cost(MATMUL, STATIONARY, narrow)
    assert "\n" not in str(error.value)
