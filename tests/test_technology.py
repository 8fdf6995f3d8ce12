"""Energy laws against the numbers they were built from and against numbers they were not."""

from math import inf
from typing import Any, get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwsim import scaling, technology
from hwsim.errors import InputError
from hwsim.hardware import Accelerator, Array, Mac, Memory, Technology, load_machine
from hwsim.scaling import PROCESSES, Constant, area_scale, delay_scale, scale, voltage_range
from hwsim.technology import (
    add_pj,
    alu_pj,
    array_noc_pj_per_bit,
    dram_pj_per_bit,
    mac_pj,
    memory_pj_per_bit,
    multiply_pj,
    noc_pj_per_bit,
    operation_pj,
    register_file_pj_per_bit,
    sram_pj_per_bit,
)
from hwsim.workload import Primitive

WIDTHS = st.integers(1, 32)
PRIMITIVES = st.sampled_from(list(Primitive))
CAPACITIES = st.integers(64, 2**32)
NODES = st.sampled_from(list(PROCESSES))
EYERISS = load_machine("eyeriss_v1")


def _constants() -> dict[str, Constant]:
    found = {f"DRAM {kind}": constant for kind, constant in technology.DRAM.items()}
    for name, value in (vars(technology) | vars(scaling)).items():
        for index, item in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(item, Constant):
                found[f"{name}[{index}]"] = item
    return found


def _shows(name: str, *, found: float, published: float, tolerance: float) -> None:
    error = found / published - 1
    print(f"{name}: law {found:.4g}, published {published:.4g}, error {error:+.1%}")
    assert abs(error) <= tolerance, name


def _multiply_add_pj(bits: int, *, psum_bits: int) -> float:
    return mac_pj(Primitive.MULTIPLY_ADD, ifmap_bits=bits, weight_bits=bits, psum_bits=psum_bits)


@pytest.mark.parametrize(("name", "constant"), _constants().items())
def test_every_constant_names_its_unit_and_source(name: str, constant: Constant) -> None:
    assert constant.value > 0, name
    assert constant.unit
    assert len(constant.source) > 10


def test_the_kinds_of_dram_are_those_a_machine_may_name() -> None:
    allowed = get_args(Technology.model_fields["dram"].annotation)
    assert set(technology.DRAM) == set(allowed)
    assert set(PROCESSES) == set(get_args(Technology.model_fields["node_nm"].annotation))


# Arithmetic


@pytest.mark.parametrize(
    ("found", "published"),
    [
        (multiply_pj(ifmap_bits=8, weight_bits=8), 0.2),
        (multiply_pj(ifmap_bits=32, weight_bits=32), 3.1),
        (add_pj(bits=8), 0.03),
        (add_pj(bits=32), 0.1),
        (dram_pj_per_bit("horowitz") * 32, 640),
        (sram_pj_per_bit(8 * 1024 * 8, word_bits=64) * 64, 10),
    ],
)
def test_horowitz_anchors_are_exact(found: float, published: float) -> None:
    """ISSCC 2014, 45 nm 0.9 V."""
    assert found == pytest.approx(published, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "found", "published", "tolerance"),
    [
        ("Horowitz 16-bit add", add_pj(bits=16), 0.05, 0.07),
        # EIE (ISCA 2016): 16 bits take a fifth of a 32-bit multiply; by the power law, a quarter.
        ("EIE 16-bit multiply", multiply_pj(ifmap_bits=16, weight_bits=16), 0.62, 0.28),
        # CNNergy's multiply-adds at 65 nm 1.0 V.
        (
            "CNNergy MAC 16 b, 65 nm",
            scale(_multiply_add_pj(16, psum_bits=16), node_nm=65, voltage=1.0),
            1.694,
            0.06,
        ),
        (
            "CNNergy MAC 8 b, 65 nm",
            scale(_multiply_add_pj(8, psum_bits=16), node_nm=65, voltage=1.0),
            0.446,
            0.10,
        ),
    ],
)
def test_arithmetic_near_numbers_it_was_not_built_from(
    name: str, found: float, published: float, tolerance: float
) -> None:
    _shows(name, found=found, published=published, tolerance=tolerance)


@pytest.mark.parametrize(
    ("bits", "published", "tolerance"),
    [(16, 0.9474, 0.07), (8, 0.2977, 0.02), (4, 0.1202, 0.26), (2, 0.0575, 0.97)],
)
def test_bit_fusion_synthesis(bits: int, published: float, tolerance: float) -> None:
    """Single fixed-width MACs at 45 nm, 500 MHz (Sharma et al., ISCA 2018, published synthesis).

    Their accumulators' width is not stated; with 32 bits the law errs by less than 7 % where
    accelerators live, and by a factor of two at 2 bits, where the adder is all there is.
    """
    _shows(
        f"Bit Fusion {bits}-bit MAC, 32-bit psum",
        found=_multiply_add_pj(bits, psum_bits=32),
        published=published,
        tolerance=tolerance,
    )


@given(PRIMITIVES, WIDTHS, WIDTHS, WIDTHS, st.sampled_from(["ifmap", "weight", "psum"]))
def test_wider_words_never_cost_less(
    primitive: Primitive, ifmap: int, weight: int, psum: int, wider: str
) -> None:
    bits = {"ifmap_bits": ifmap, "weight_bits": weight, "psum_bits": psum}
    more = bits | {f"{wider}_bits": bits[f"{wider}_bits"] + 1}
    assert 0 < mac_pj(primitive, **bits) <= mac_pj(primitive, **more)


@given(WIDTHS)
def test_cheaper_primitives_are_cheaper(bits: int) -> None:
    """At 4 bits and above: one-bit multipliers are as small as shifters."""
    assume(bits >= 4)
    widths = {"ifmap_bits": bits, "weight_bits": bits, "psum_bits": 32}
    multiply_add = mac_pj(Primitive.MULTIPLY_ADD, **widths)
    assert mac_pj(Primitive.ADD, **widths) < multiply_add
    if bits >= 8:
        assert mac_pj(Primitive.SHIFT_ADD, **widths) < multiply_add
    binary = mac_pj(Primitive.XNOR_POPCOUNT, ifmap_bits=1, weight_bits=1, psum_bits=32)
    assert binary < mac_pj(Primitive.ADD, **widths)


# Memories


@pytest.mark.parametrize(
    ("name", "capacity_bits", "word_bits", "published", "tolerance"),
    [
        ("Horowitz 8 kB, 32 b", 8 * 8192, 32, 5.0, 0.01),
        ("Horowitz 32 kB, 64 b (unverified)", 32 * 8192, 64, 20.0, inf),
        ("Horowitz 1 MB, 64 b (unverified)", 1024 * 8192, 64, 100.0, inf),
        ("Accelergy Eyeriss weight pad read", 224 * 16, 16, 0.71011, 0.10),
        ("Accelergy Eyeriss weight pad write", 224 * 16, 16, 1.13063, 0.44),
        ("Accelergy Eyeriss GLB read", 25 * 512 * 64, 64, 49.1739, 0.29),
        ("Accelergy Eyeriss GLB write", 25 * 512 * 64, 64, 37.1554, 0.06),
    ],
)
def test_sram_near_published(
    name: str, capacity_bits: int, word_bits: int, published: float, tolerance: float
) -> None:
    """pJ per word at 45 nm; numbers not verified in print are shown and decide nothing."""
    found = sram_pj_per_bit(capacity_bits, word_bits=word_bits) * word_bits
    _shows(name, found=found, published=published, tolerance=tolerance)


@pytest.mark.parametrize(
    ("name", "words", "published"), [("ifmap pad", 12, 0.19652), ("psum pad", 24, 0.25281)]
)
def test_register_file_near_published(name: str, words: int, published: float) -> None:
    """The two register pads of Accelergy's Eyeriss at 45 nm, which fix the periphery's energy."""
    found = register_file_pj_per_bit(words * 16, word_bits=16) * 16
    _shows(f"Accelergy Eyeriss {name}", found=found, published=published, tolerance=0.01)


def test_a_single_word_costs_what_a_register_does() -> None:
    """An 8-bit word: the fitted periphery and Aladdin's register agree without being made to."""
    _shows(
        "8-bit register by the array law",
        found=sram_pj_per_bit(8, word_bits=8),
        published=0.009,
        tolerance=0.06,
    )
    assert register_file_pj_per_bit(16, word_bits=16) == 0.009


@given(CAPACITIES, st.integers(1, 1024))
def test_larger_memories_cost_more_and_wider_words_less(capacity: int, word: int) -> None:
    for law in (sram_pj_per_bit, register_file_pj_per_bit):
        here = law(capacity, word_bits=word)
        assert here <= law(capacity + 1, word_bits=word)
        assert law(capacity, word_bits=word + 1) <= here
        assert here * word <= law(capacity, word_bits=word + 1) * (word + 1)


def test_the_hierarchy_of_isca_2016() -> None:
    """Table IV: DRAM 200, GLB 6 (100 to 500 kB), RF 1 (0.5 to 1 kB) per 16-bit MAC, 65 nm."""
    mac = _multiply_add_pj(16, psum_bits=16)
    glb = 16 * sram_pj_per_bit(128 * 8192, word_bits=64) / mac
    register = 16 * register_file_pj_per_bit(512 * 8, word_bits=16) / mac
    dram = 16 * dram_pj_per_bit("LPDDR4") / scale(mac, node_nm=65, voltage=1.0)
    _shows("RF 512 B over MAC", found=register, published=1, tolerance=0.20)
    _shows("GLB 128 kB over MAC", found=glb, published=6, tolerance=1.0)
    _shows("LPDDR4 over MAC at 65 nm", found=dram, published=200, tolerance=0.61)
    assert noc_pj_per_bit() * 16 / mac == pytest.approx(2)


# Scaling


def test_scaling_to_the_reference_changes_nothing() -> None:
    assert scale(1.25, node_nm=45, voltage=0.9) == 1.25
    assert delay_scale(node_nm=45, voltage=0.9) == 1
    assert area_scale(node_nm=45) == 1


def test_the_papers_own_example() -> None:
    """Stillmaker and Baas, erratum to section 4.2.1: 1 pJ at 65 nm 1.3 V is 0.1755 at 32 nm 0.9 V.

    They divide rounded factors, 0.4571 / 2.604, and cut the quotient to four digits.
    """
    found = scale(1, node_nm=32, voltage=0.9) / scale(1, node_nm=65, voltage=1.3)
    assert found == pytest.approx(0.1755, abs=1e-4)


def test_65_nm_agrees_with_an_independent_rule() -> None:
    """CNNergy scales 45 nm 0.9 V to 65 nm 1.0 V by length and supply squared, 1.783."""
    _shows("65 nm 1.0 V", found=scale(1, node_nm=65, voltage=1), published=1.783, tolerance=0.07)


def test_the_chosen_family_keeps_the_nodes_in_order() -> None:
    """Smaller nodes at their nominal supply take less energy and area, with no seam at 45 nm.

    Planar nodes are faster too; the first multi-gate fits are not in order among themselves.
    """
    nodes = sorted(PROCESSES)
    nominal = {node: PROCESSES[node].nominal_voltage for node in nodes}
    energy = [scale(1, node_nm=node, voltage=nominal[node]) for node in nodes]
    area = [area_scale(node_nm=node) for node in nodes]
    delay = [delay_scale(node_nm=node, voltage=nominal[node]) for node in nodes if node >= 32]
    assert energy == sorted(energy)
    assert area == sorted(area)
    assert delay == sorted(delay)


def _supply(node_nm: int, share: float) -> float:
    """A supply between the lowest (0) and the highest (1) that the node allows."""
    low, high = voltage_range(node_nm=node_nm)
    return low + (high - low) * share


@given(NODES, st.floats(0.01, 0.98))
def test_a_higher_supply_costs_more(node_nm: int, share: float) -> None:
    low, high = _supply(node_nm, share), _supply(node_nm, share + 0.01)
    assert 0 < scale(1, node_nm=node_nm, voltage=low) < scale(1, node_nm=node_nm, voltage=high)
    assert delay_scale(node_nm=node_nm, voltage=low) > 0


@given(NODES, st.floats(0.01, 0.99), st.floats(0, 1e6), st.floats(0, 1e6))
def test_scaling_is_linear(node_nm: int, share: float, one: float, other: float) -> None:
    at: dict[str, Any] = {"node_nm": node_nm, "voltage": _supply(node_nm, share)}
    assert scale(one + other, **at) == pytest.approx(scale(one, **at) + scale(other, **at))


@pytest.mark.parametrize(
    ("node_nm", "voltage", "part"),
    [
        (65, 1.4, "voltage = 1.4: must lie in 0.66..1.32 V at 65 nm"),
        (7, 0.9, "voltage = 0.9: must lie in 0.42..0.84 V at 7 nm"),
        (45, float("nan"), "voltage = nan"),
        (28, 0.9, "node_nm = 28: must be one of 180"),
    ],
)
def test_outside_the_fitted_range_is_refused(node_nm: int, voltage: float, part: str) -> None:
    with pytest.raises(InputError, match=part.replace(".", r"\.")):
        scale(1, node_nm=node_nm, voltage=voltage)


# What a machine's file leaves out


def test_stated_energies_win_and_are_not_rescaled() -> None:
    pad = Memory(tensors=("ifmap",), cell="sram", capacity_bits=4096, read_pj_per_bit=0.5)
    old = Technology(node_nm=180, voltage=1.8)
    read, write = memory_pj_per_bit(pad, old)
    assert read == 0.5
    law = sram_pj_per_bit(4096, word_bits=16)
    assert write == scale(law, node_nm=180, voltage=1.8)
    assert array_noc_pj_per_bit(Array(axes={"X": 2}, noc_pj_per_bit=0.25), old) == 0.25


def test_dram_does_not_scale_with_the_logic() -> None:
    dram = Memory(tensors=("ifmap",), cell="dram")
    for node_nm in (65, 14):
        supply = PROCESSES[node_nm].nominal_voltage
        at = Technology.model_validate({"node_nm": node_nm, "voltage": supply, "dram": "HBM2"})
        assert memory_pj_per_bit(dram, at) == (3.9, 3.9)


@pytest.mark.parametrize(
    ("slot_bits", "port", "word"), [(1, None, 16), (8, None, 8), (8, 64.0, 64), (1, 1e9, 4096)]
)
def test_the_word_is_the_port_or_else_the_slot(
    slot_bits: int, port: float | None, word: int
) -> None:
    memory = Memory(
        tensors=("ifmap",),
        cell="sram",
        capacity_bits=4096,
        slot_bits=slot_bits,
        read_bits_per_cycle=port,
    )
    law = sram_pj_per_bit(4096, word_bits=word)
    assert memory_pj_per_bit(memory, Technology()) == (law, law)


def _with_mac(**mac: Any) -> Accelerator:
    return EYERISS.model_copy(update={"mac": Mac(**mac), "technology": Technology()})


def _operation_pj(machine: Accelerator, primitive: Primitive, *, bits: int) -> float:
    return operation_pj(machine, primitive, ifmap_bits=bits, weight_bits=bits, psum_bits=bits)


def test_narrow_operands_gain_nothing_on_a_wide_datapath() -> None:
    wide, narrow = (_operation_pj(EYERISS, Primitive.MULTIPLY_ADD, bits=bits) for bits in (16, 4))
    assert narrow == wide


@given(PRIMITIVES)
def test_a_primitive_without_hardware_runs_as_a_multiply_add(primitive: Primitive) -> None:
    assert _operation_pj(EYERISS, primitive, bits=1) == _operation_pj(
        EYERISS, Primitive.MULTIPLY_ADD, bits=16
    )


def test_a_primitive_with_hardware_has_its_own_energy() -> None:
    machine = _with_mac(primitives=(Primitive.MULTIPLY_ADD, Primitive.SHIFT_ADD))
    shift_add = _operation_pj(machine, Primitive.SHIFT_ADD, bits=8)
    assert shift_add < _operation_pj(machine, Primitive.MULTIPLY_ADD, bits=8)


def test_xnor_units_work_plane_by_plane() -> None:
    machine = _with_mac(primitives=(Primitive.MULTIPLY_ADD, Primitive.XNOR_POPCOUNT))
    one, two = (_operation_pj(machine, Primitive.XNOR_POPCOUNT, bits=bits) for bits in (1, 2))
    assert one < two < 4 * one


def test_other_operations_follow_a_stated_multiply_add() -> None:
    """On a machine in units of its MAC an add must be in those units too."""
    for unit_pj in (1.0, 7.0):
        machine = _with_mac(
            multiply_add_pj=unit_pj,
            psum_bits=16,
            primitives=(Primitive.MULTIPLY_ADD, Primitive.ADD),
        )
        multiply_add = _multiply_add_pj(16, psum_bits=16)
        assert _operation_pj(machine, Primitive.MULTIPLY_ADD, bits=16) == unit_pj
        expected = unit_pj * add_pj(bits=16) / multiply_add
        assert _operation_pj(machine, Primitive.ADD, bits=16) == pytest.approx(expected)
        assert alu_pj(machine, bits=16) == pytest.approx(expected)


@pytest.mark.parametrize("key", ["ifmap_bits", "weight_bits", "psum_bits"])
def test_operands_wider_than_the_datapath_are_refused(key: str) -> None:
    bits = {"ifmap_bits": 16, "weight_bits": 16, "psum_bits": 16} | {key: 17}
    with pytest.raises(InputError, match=rf"eyeriss_v1: mac\.{key} = 16: .* 17"):
        operation_pj(EYERISS, Primitive.MULTIPLY_ADD, **bits)
