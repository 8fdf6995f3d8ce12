"""The sign laws: what fewer bits, zeros, filters and cheaper operations may gain, and where."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cost import COMPONENTS, Cost, cost
from hwsim.errors import InputError
from hwsim.hardware import load_machine
from hwsim.mac import Precision
from hwsim.simulate import Objective, best_mapping
from hwsim.skipping import performed_share, random_mask
from hwsim.workload import Layer, Op, Primitive, Storage, Tensor, Zeros
from tests.machines import (
    CONV,
    DATAFLOWS,
    DRAM,
    MAC,
    MATMUL,
    PRECISIONS,
    Case,
    cases,
    convs,
    dram_level,
    machine,
    wide_slots,
)

EYERISS = load_machine("eyeriss_v1")


def at_8_bits(layer: Layer) -> Layer:
    return layer.at_bits(ifmap=8, weight=8, ofmap=8, psum=8)


def differing(one: Cost, other: Cost) -> set[str]:
    """Components of unlike energy."""
    return {
        name
        for name in COMPONENTS
        if one.energy_by_component_pj[name] != other.energy_by_component_pj[name]
    }


# Density


@given(convs(), st.floats(0, 1), st.sampled_from(DATAFLOWS))
@settings(max_examples=20, deadline=None)
def test_density_gains_nothing_on_a_machine_that_neither_codes_nor_gates(
    layer: Layer, density: float, dataflow: str
) -> None:
    sparse = replace(layer, ifmap=Tensor(density=density), weight=Tensor(density=density))
    plain = machine(dataflow=dataflow)
    assert best_mapping(sparse, plain) == best_mapping(layer, plain)


@given(convs(), st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_zeros_save_traffic_where_dram_is_coded_and_gated_energy_where_pes_gate(
    layer: Layer, density: float
) -> None:
    """Never an access on chip of another kind, and never a step."""
    able = machine(
        dram_level(DRAM.model_copy(update={"formats": {"ifmap": Storage.RUN_LENGTH}})),
        *machine().hierarchy[1:],
        mac=MAC.model_copy(update={"zero_gating": True}),
    )
    mapping, dense = best_mapping(layer, able)
    sparse = cost(replace(layer, ifmap=Tensor(density=density)), mapping, able)
    assert differing(sparse, dense) <= {"MAC", "spad", "DRAM"}
    assert all(
        sparse.energy_by_component_pj[name] <= dense.energy_by_component_pj[name]
        for name in COMPONENTS
    )
    assert sparse.dram_bits <= dense.dram_bits
    assert (sparse.compute_cycles, sparse.cycles) == (dense.compute_cycles, dense.cycles)


def test_a_coded_link_saves_waiting_for_dram_but_no_step() -> None:
    thin = {"formats": {"ifmap": Storage.BITMAP}, "read_bits_per_cycle": 0.5}
    waiting = machine(dram_level(DRAM.model_copy(update=thin)), *machine().hierarchy[1:])
    mapping, dense = best_mapping(CONV, waiting)
    sparse = cost(replace(CONV, ifmap=Tensor(density=0.25)), mapping, waiting)
    assert dense.bound == "DRAM"
    assert sparse.cycles < dense.cycles
    assert sparse.compute_cycles == dense.compute_cycles


# Zero skipping

SKIPPING = machine(
    dram_level(DRAM.model_copy(update={"formats": {"weight": Storage.BITMAP}})),
    *machine().hierarchy[1:],
    mac=MAC.model_copy(update={"zero_skipping": ("ifmap", "weight"), "sync_level": "spad"}),
)
densities = st.floats(0, 1)


def known(layer: Layer, ifmap: float, weight: float, *, seed: int) -> Layer:
    """The layer with zeros drawn; from one seed, a higher density leaves all that a lower does."""
    shares = {"ifmap": ifmap, "weight": weight}
    records = [
        Tensor(zeros=Zeros.of(random_mask(layer.shape(name), density=share, seed=seed)))
        for name, share in shares.items()
    ]
    return replace(layer, ifmap=records[0], weight=records[1])


@given(convs(), densities, st.sampled_from(DATAFLOWS))
@settings(max_examples=20, deadline=None)
def test_known_zeros_gain_nothing_on_a_machine_that_neither_codes_nor_skips(
    layer: Layer, density: float, dataflow: str
) -> None:
    plain = machine(dataflow=dataflow)
    sparse = known(layer, density, density, seed=1)
    assert best_mapping(sparse, plain) == best_mapping(layer, plain)


@given(cases(), densities, densities, st.sampled_from(("", "GLB", "spad")))
@settings(max_examples=40, deadline=None)
def test_skipping_takes_no_fewer_cycles_than_the_work_and_no_more_than_all(
    case: Case, ifmap: float, weight: float, level: str
) -> None:
    layer, mapping, plain = case
    layer = known(replace(layer, op=Op.CONV, operands=1), ifmap, weight, seed=2)
    changes = {"zero_skipping": ("ifmap", "weight"), "sync_level": level}
    able = plain.model_copy(update={"mac": plain.mac.model_copy(update=changes)})
    found, all_done = cost(layer, mapping, able), cost(layer, mapping, plain)
    work = layer.macs * performed_share(layer, able.mac)
    assert work / able.pes <= found.compute_cycles <= all_done.compute_cycles
    assert found.cycles <= all_done.cycles
    assert 0 <= found.utilization <= 1
    assert differing(found, all_done) <= {"MAC", "spad", "clock", "leakage"}
    assert found.dram_bits == all_done.dram_bits
    assert found.energy_pj <= all_done.energy_pj * (1 + 1e-12)


@given(convs(), st.tuples(densities, densities), densities, st.booleans())
@settings(max_examples=40, deadline=None)
def test_lower_density_never_costs_more_where_zeros_are_skipped(
    layer: Layer, pair: tuple[float, float], other: float, real: bool
) -> None:
    """Under one mapping: told by densities, or known."""
    mapping, _ = best_mapping(layer, SKIPPING)

    def at(density: float) -> Cost:
        told = replace(layer, ifmap=Tensor(density=other), weight=Tensor(density=density))
        return cost(known(layer, other, density, seed=3) if real else told, mapping, SKIPPING)

    sparse, dense = map(at, sorted(pair))
    assert sparse.cycles <= dense.cycles
    assert sparse.energy_pj <= dense.energy_pj * (1 + 1e-12)


@given(convs(), st.floats(0.05, 1))
@settings(max_examples=10, deadline=None)
def test_the_mapping_of_a_skipping_machine_is_costed_in_full(layer: Layer, density: float) -> None:
    """Never as if zeros fell evenly."""
    sparse = known(layer, density, density, seed=4)
    mapping, found = best_mapping(sparse, SKIPPING)
    assert found == cost(sparse, mapping, SKIPPING)


def test_skipping_spares_a_layer_without_weights_nothing() -> None:
    pool = Layer(name="pool", op=Op.POOL, G=8, P=3, Q=4, R=2, S=2, ifmap=Tensor(density=0.2))
    mapping, found = best_mapping(pool, SKIPPING)
    assert found == cost(replace(pool, ifmap=Tensor()), mapping, SKIPPING)


# Bits


@given(convs(), st.sampled_from(DATAFLOWS), st.sampled_from((1, 4, 7, 8, 12)))
@settings(max_examples=25, deadline=None)
def test_fewer_bits_never_cost_more_energy(layer: Layer, dataflow: str, bits: int) -> None:
    narrow = layer.at_bits(ifmap=bits, weight=bits, ofmap=bits, psum=bits)
    plain = machine(dataflow=dataflow)
    _, less = best_mapping(narrow, plain, objective="energy")
    _, more = best_mapping(layer, plain, objective="energy")
    assert less.energy_pj <= more.energy_pj


@given(convs())
@settings(max_examples=20, deadline=None)
def test_on_16_bit_slots_8_bits_narrow_dram_alone(layer: Layer) -> None:
    wide = wide_slots()
    mapping, full = best_mapping(layer, wide)
    half = cost(at_8_bits(layer), mapping, wide)
    assert differing(half, full) == {"DRAM"}
    assert half.dram_bits * 2 == full.dram_bits
    assert half.cycles == full.cycles


@pytest.mark.parametrize("layer", [CONV, replace(CONV, G=8, K=1, C=1), replace(MATMUL, name="x")])
def test_the_16_bit_chip_gains_only_where_its_datapath_narrows(layer: Layer) -> None:
    """Pads, buffer, NoC and MACs are 16 bits wide; DRAM alone packs narrower words."""
    wide = layer.at_bits(ifmap=16, weight=16, ofmap=16, psum=16)
    mapping, full = best_mapping(wide, EYERISS)
    half = cost(at_8_bits(wide), mapping, EYERISS)
    assert differing(half, full) - {"clock"} == {"DRAM"}
    assert half.energy_by_component_pj["DRAM"] * 2 == full.energy_by_component_pj["DRAM"]
    assert half.dram_bits * 2 == full.dram_bits
    assert half.compute_cycles == full.compute_cycles
    assert half.cycles <= full.cycles


def test_the_8_bit_sibling_gains_on_chip_too() -> None:
    sibling = load_machine("eyeriss_v1_int8")
    layer = replace(CONV, N=4)
    narrow = layer.at_bits(ifmap=8, weight=8, ofmap=8, psum=20)
    full, half = best_mapping(layer, EYERISS)[1], best_mapping(narrow, sibling)[1]
    assert half.energy_pj < full.energy_pj
    for name in ("MAC", "NoC", "GLB", "DRAM", "clock"):
        assert (name, half.energy_by_component_pj[name]) < (name, full.energy_by_component_pj[name])


def test_words_wider_than_the_macs_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="16 bits is wider than the 8-bit MACs") as error:
        best_mapping(CONV, load_machine("eyeriss_v1_int8"))
    assert "\n" not in str(error.value)


def test_psums_are_cut_to_the_width_of_the_adder() -> None:
    """The chip truncates products to 16 bits before it adds them."""
    wide, narrow = (replace(CONV, psum=Tensor(bits=bits)) for bits in (32, 16))
    assert best_mapping(wide, EYERISS) == best_mapping(narrow, EYERISS)


widths = st.tuples(st.integers(1, 16), st.integers(1, 16))


@given(convs(), st.sampled_from(PRECISIONS), widths, widths)
@settings(max_examples=30, deadline=None)
def test_fewer_bits_never_cost_more_where_they_set_the_pace(
    layer: Layer, precision: Precision | None, ifmap: tuple[int, int], weight: tuple[int, int]
) -> None:
    """Under one mapping; and the same steps on a datapath of one width."""
    where = machine(mac=MAC.model_copy(update={"precision": precision}))
    mapping, _ = best_mapping(layer, where)
    (less_i, more_i), (less_w, more_w) = sorted(ifmap), sorted(weight)
    narrow, wide = (
        cost(replace(layer, ifmap=Tensor(bits=i), weight=Tensor(bits=w)), mapping, where)
        for i, w in ((less_i, less_w), (more_i, more_w))
    )
    assert narrow.energy_pj <= wide.energy_pj * (1 + 1e-12)
    assert narrow.cycles <= wide.cycles
    if precision is None:
        assert narrow.compute_cycles == wide.compute_cycles


# Channels and primitives


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("objective", ["energy", "cycles", "edp"])
def test_filter_pruning_cuts_cycles_and_energy_on_plain_hardware(
    dataflow: str, objective: Objective
) -> None:
    layer, pruned = (Layer(name="k", K=k, C=6, P=7, Q=9, R=3, S=2) for k in (24, 12))
    plain = machine(dataflow=dataflow)
    _, full = best_mapping(layer, plain, objective=objective)
    _, half = best_mapping(pruned, plain, objective=objective)
    assert half.cycles * 2 <= full.cycles
    assert half.energy_pj < full.energy_pj


@given(convs(), st.sampled_from(DATAFLOWS), st.sampled_from(("K", "C", "N", "G")))
@settings(max_examples=25, deadline=None)
def test_less_work_never_takes_more_cycles(layer: Layer, dataflow: str, dim: str) -> None:
    half: dict[str, Any] = {dim: -(-layer.bounds[dim] // 2)}
    less = replace(layer, **half)
    plain = machine(dataflow=dataflow)
    _, fewer = best_mapping(less, plain, objective="cycles")
    _, more = best_mapping(layer, plain, objective="cycles")
    assert fewer.cycles <= more.cycles


@pytest.mark.parametrize("primitive", list(Primitive))
def test_a_primitive_that_the_machine_lacks_gains_nothing(primitive: Primitive) -> None:
    """Nor loses: however many terms it was made of, they are one product again."""
    plain = machine()
    assert best_mapping(replace(CONV, primitive=primitive), plain) == best_mapping(CONV, plain)
    if primitive is not Primitive.MULTIPLY_ADD:
        layer = replace(CONV, primitive=primitive, terms=3)
        assert best_mapping(layer, plain) == best_mapping(CONV, plain)
