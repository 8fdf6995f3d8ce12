"""The area model: its fits, its laws and published chips."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.area import (
    CELL,
    DENSITY,
    PERIPHERY,
    TO_65,
    add_um2,
    area,
    mac_um2,
    memory_um2,
    on_chip_bits,
    storage_um2,
)
from hwsim.hardware import Accelerator, Memory, load_machine
from hwsim.mac import Mac
from hwsim.registry import names
from hwsim.scaling import area_scale
from hwsim.validate import published
from hwsim.workload import TENSORS, Primitive

EYERISS = load_machine("eyeriss_v1")
FACTS = published("area")


def moved(machine: Accelerator, node_nm: int) -> Accelerator:
    technology = machine.technology.model_copy(update={"node_nm": node_nm})
    return machine.model_copy(update={"technology": technology})


def test_the_periphery_is_the_least_squares_fit() -> None:
    table = FACTS["storage"]
    low, high = table["fitted"]
    known = {8 * b: um2 / 8 for b, um2 in table["um2_per_byte"].items() if low <= b <= high}
    slopes = np.array([TO_65 / sqrt(bits) / um2 for bits, um2 in known.items()])
    rest = np.array([1 - TO_65 * CELL.value / um2 for um2 in known.values()])
    assert slopes @ rest / (slopes @ slopes) == pytest.approx(PERIPHERY.value, rel=1e-4)


def test_the_density_is_that_of_the_eyeriss_core() -> None:
    cells = area(EYERISS).cells_mm2
    assert cells / FACTS["eyeriss_v1"]["core"] == pytest.approx(DENSITY.value, rel=1e-4)


def test_memories_of_eie_are_predicted() -> None:
    for module, size in {"SpmatRead": 2**20, "PtrRead": 2**18}.items():
        assert storage_um2(size) == pytest.approx(FACTS["eie"]["pe_um2"][module], rel=0.16)


@pytest.mark.parametrize("name", names("machine"))
def test_parts_add_up_and_follow_the_node(name: str) -> None:
    machine = load_machine(name)
    found = area(machine)
    assert min(found.by_component_mm2.values()) >= 0
    assert found.core_mm2 == pytest.approx(found.cells_mm2 / DENSITY.value)
    factor = area_scale(node_nm=7) / area_scale(node_nm=machine.technology.node_nm)
    assert area(moved(machine, 7)).core_mm2 == pytest.approx(factor * found.core_mm2)


def test_the_eyeriss_chips_storage_is_what_the_paper_states() -> None:
    # 108 kB of buffer; 168 pads of 12 + 224 + 24 words of 16 bits.
    assert on_chip_bits(EYERISS) == (108 * 1024 + 168 * 2 * (12 + 224 + 24)) * 8


@given(st.integers(1, 2**24), st.integers(1, 2**24))
def test_more_bits_never_take_less(one: int, other: int) -> None:
    assert storage_um2(min(one, other)) <= storage_um2(max(one, other))


@given(st.integers(1, 2**8), st.integers(17, 2**16))
def test_banks_take_no_less_than_one_memory(banks: int, bank: int) -> None:
    """Of more than a register, which has no second port."""
    whole = Memory(tensors=TENSORS, cell="sram", capacity_bits=banks * bank)
    banked = whole.model_copy(update={"bank_bits": bank})
    assert memory_um2(banked) >= memory_um2(whole) * (1 - 1e-9)


def test_arithmetic_goes_through_its_tables() -> None:
    assert mac_um2(Mac(ifmap_bits=8, weight_bits=8)) == pytest.approx(687.6072)
    assert mac_um2(Mac(ifmap_bits=16, weight_bits=16)) == pytest.approx(2203.236)
    assert 282.24 < mac_um2(Mac(ifmap_bits=4, weight_bits=8)) < 687.6072
    assert add_um2(16) == pytest.approx(67, rel=0.05)  # Horowitz, not an anchor


@pytest.mark.parametrize("primitive", Primitive)
def test_every_primitive_has_an_area(primitive: Primitive) -> None:
    wide, narrow = (
        mac_um2(Mac(ifmap_bits=b, weight_bits=b, psum_bits=3 * b, primitives=(primitive,)))
        for b in (8, 4)
    )
    assert wide > narrow > 0
