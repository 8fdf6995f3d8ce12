"""The quick judging of a dataflow's mappings against `hwsim.dataflow.within_dataflow`."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.dataflow import accumulated, within_dataflow
from hwsim.explore.costs import Costs
from hwsim.explore.fields import machine_with, moved
from hwsim.explore.offers import offers
from hwsim.explore.shape import shape
from hwsim.explore.space import Space, machine_contents
from hwsim.explore.terms import Known
from hwsim.found import Question
from hwsim.hardware import Accelerator, load_machine
from hwsim.registry import names
from hwsim.workload import Layer, Op
from tests.machines import GLB, dram_level, glb_level, grid, machine, sized, spad_level

SPACE = Space(description="any", machine="eyeriss_v1", network="alexnet", objective="edp")
LAYERS = (
    Layer(name="conv", N=2, K=6, C=5, P=7, Q=9, R=3, S=2, stride_h=2, pad_h=1, pad_w=1),
    Layer(name="depthwise", G=12, P=10, Q=8, R=3, S=3, pad_h=1, pad_w=1),
    Layer(name="linear", op=Op.LINEAR, N=3, K=50, C=70),
    Layer(name="pool", op=Op.POOL, G=8, P=5, Q=6, R=2, S=3, stride_h=2, stride_w=3),
)


def agree(layer: Layer, where: Accelerator) -> None:
    """The same energy in every component, cycles and DRAM bits; under a mapping that says so."""
    known, costs = accumulated(layer, where), Costs(SPACE, where)
    found, (_, mapped) = costs.of(known), costs.mapped(known)
    expected = within_dataflow(Question(layer=known, machine=where, effort=0)).cost
    assert found.energy_by_component_pj == pytest.approx(expected.energy_by_component_pj)
    assert (found.cycles, found.dram_bits) == (expected.cycles, expected.dram_bits)
    assert mapped.energy_by_component_pj == pytest.approx(expected.energy_by_component_pj)
    assert (mapped.cycles, mapped.dram_bits) == (expected.cycles, expected.dram_bits)


def narrow(layer: Layer, where: Accelerator) -> Layer:
    bits = min(where.mac.ifmap_bits, where.mac.weight_bits)
    return layer.at_bits(ifmap=bits, weight=bits, ofmap=min(2 * bits, 16), psum=32)


@pytest.mark.parametrize(
    "name", [n for n in names("machine") if n not in ("yodann", "eie", "zero_skipping")]
)
def test_shipped_machines_agree(name: str) -> None:
    where = load_machine(name)
    for layer in LAYERS[1:]:
        agree(narrow(layer, where), where)


FLOWS = ("row_stationary", "weight_stationary", "output_stationary", "no_local_reuse")
widths = st.one_of(st.none(), st.integers(1, 200))
prices = st.one_of(st.none(), st.floats(0.01, 50))


@st.composite
def priced_machines(draw: st.DrawFn) -> Accelerator:
    """A small machine at drawn energies, widths and clock."""
    update = {
        "read_bits_per_cycle": draw(widths),
        "write_bits_per_cycle": draw(widths),
        "read_pj_per_bit": draw(prices),
        "write_pj_per_bit": draw(prices),
        "buffering": draw(st.sampled_from(("single", "double", "stream"))),
    }
    array = grid(draw(st.sampled_from((2, 4))), 3)
    buses = draw(st.dictionaries(st.sampled_from(("ifmap", "weight", "ofmap")), st.floats(1, 99)))
    array = array.model_copy(update={"bus_bits_per_cycle": buses, "skewed": draw(st.booleans())})
    glb = sized(GLB, draw(st.sampled_from((2**13, 2**16)))).model_copy(update=update)
    return machine(
        dram_level(),
        glb_level(glb),
        array,
        spad_level(),
        dataflow=draw(st.sampled_from(FLOWS)),
    )


@settings(max_examples=25, deadline=None)
@given(priced_machines(), st.sampled_from(LAYERS))
def test_drawn_machines_agree(where: Accelerator, layer: Layer) -> None:
    """What is kept of one machine serves all others of its shape, drawn in between."""
    agree(narrow(layer, where), where)


CONTENT = machine_contents(SPACE)["eyeriss_v1"]
LIGHT = {
    "clock_mhz": 300,
    "technology.voltage": 0.9,
    "DRAM.read_bits_per_cycle": 64,
    "GLB.ifmap.word_bits": 32,
    "GLB.ifmap.bank_bits": 8192,
    "mac.multiply_add_pj": 1.5,
    "array.noc_pj_per_bit": 0.3,
    "control.clock_pj_per_cycle": 10,
    "process_nm": 16,
}
HEAVY = {
    "axes.X": 7,
    "GLB.ifmap.capacity_bits": 2**18,
    "spad.weight.slot_bits": 8,
    "GLB.weight.buffering": "double",
    "DRAM.shared_port": False,
    "mac.zero_gating": False,
    "stores_padding": False,
    "dataflow": "weight_stationary",
}


def _with(**fields: object) -> Iterator[Accelerator]:
    for path, value in fields.items():
        yield machine_with(CONTENT, {path: value}, file="test")  # type: ignore[dict-item]


def test_a_shape_is_what_decides_mappings_and_counts() -> None:
    own = shape(load_machine("eyeriss_v1"))
    assert {shape(each) for each in _with(**LIGHT)} == {own}
    heavy = {shape(each) for each in _with(**HEAVY)}
    assert len(heavy) == len(HEAVY)
    assert own not in heavy


def test_no_mapping_is_none() -> None:
    tiny = machine(dram_level(), glb_level(sized(GLB, 4)), grid(2, 2), spad_level())
    assert offers(LAYERS[0], tiny, Known()) is None


def test_moving_there_and_back_changes_nothing() -> None:
    chip = load_machine("eyeriss_v1")
    home = moved(chip, node_nm=65)
    back = moved(moved(home, node_nm=7), node_nm=65)
    assert back.clock_mhz == pytest.approx(home.clock_mhz)
    assert back.mac.multiply_add_pj == pytest.approx(home.mac.multiply_add_pj)
    assert moved(home, node_nm=7).clock_mhz > home.clock_mhz
    dram = [each.levels[0].memories[0] for each in (home, moved(home, node_nm=7))]
    gbps = [
        each.clock_mhz * (memory.read_bits_per_cycle or 0)
        for each, memory in zip((home, moved(home, node_nm=7)), dram, strict=True)
    ]
    assert gbps[0] == pytest.approx(gbps[1])
