"""`tests.exhaustive` on cases counted by hand, and against mappings that nobody thinned out."""

import json
from collections.abc import Iterable
from functools import cache
from itertools import islice, pairwise
from math import inf
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings

from hwsim.cost import cost
from hwsim.errors import MappingError
from hwsim.hardware import Accelerator, Array, Control, Memory
from hwsim.mapping import validate
from hwsim.reuse import access_counts
from hwsim.workload import TENSORS, Layer, Op
from tests.exhaustive import OBJECTIVES, ROUNDING, costs, front, least, nests, size
from tests.machines import PADS, dram_level, glb_level, grid, machine, sized, spad_level
from tests.naive_mappings import longest, naive_mappings, work
from tests.oracle import walk
from tests.oracle_table import read, record
from tests.tiny import Case, cases, drawn, stream

DRAM = dram_level(Memory(tensors=TENSORS, cell="dram", read_pj_per_bit=10, write_pj_per_bit=20))
CALM = Control()
WEIGHTS = Memory(
    tensors=("weight",), cell="sram", capacity_bits=16, read_pj_per_bit=1, write_pj_per_bit=1
)
# Cases in which everything is tried, of so many mappings at most.
NAIVE, NAIVE_WORK = 14, 6000
some_cases = cache(cases)


def small(*, N: int = 1, K: int = 1, C: int = 1) -> Layer:
    """A matrix product in bytes."""
    layer = Layer(name="small", op=Op.MATMUL, N=N, K=K, C=C)
    return layer.at_bits(ifmap=8, weight=8, ofmap=8, psum=16)


def weights_only(capacity_bits: int, *, bypass: bool = True) -> Accelerator:
    """DRAM and a buffer for weights, with neither clock nor leakage."""
    memory = sized(WEIGHTS, capacity_bits).model_copy(update={"bypass": bypass})
    return machine(DRAM, glb_level(memory), control=CALM)


# With all 3 words: (none, 0, 1) below one loop and (none, 0, 1, 2) below two. With 2 none before
# all loops, with 1 only after the last.
@pytest.mark.parametrize(("words", "count"), [(3, 7), (2, 5), (1, 4), (0.5, 2)])
def test_counts_every_place_that_fits(words: float, count: int) -> None:
    assert size(small(K=3), weights_only(int(8 * words))) == count


# Both loops in either order, each in time or on the one axis of two places, but not both on it:
# (2 x 2 - 1) x 2 = 6; of the three tensors each goes straight to the MACs.
def test_counts_every_order_and_axis() -> None:
    array = Array(axes={"X": 2}, noc_pj_per_bit=0)
    assert size(small(K=2, C=2), machine(DRAM, array)) == 6


# N = K = 2: 4 MACs at 19 pJ, an ifmap word of 8 bits from DRAM for each, 4 ofmap words out. Weights
# are fetched twice, written once and read twice each where one fits; else fetched for each MAC.
@pytest.mark.parametrize(
    ("capacity_bits", "weights_pj"), [(16, 160 + 16 + 32), (8, 160 + 16 + 32), (7, 320)]
)
def test_energy_of_a_product_by_hand(capacity_bits: int, weights_pj: int) -> None:
    energy = 4 * 19 + 320 + 640 + weights_pj
    found = least(small(N=2, K=2), weights_only(capacity_bits))
    assert {name: value for name, (value, _) in found.items()} == {
        "energy": energy,
        "cycles": 4,
        "edp": 4 * energy,
        "ed2p": 16 * energy,
    }


def test_what_may_not_bypass_and_does_not_fit_has_no_mapping() -> None:
    with pytest.raises(MappingError, match="no mapping is valid"):
        least(small(N=2, K=2), weights_only(7, bypass=False))
    with pytest.raises(MappingError, match="no mapping is valid"):
        front(small(N=2, K=2), weights_only(7, bypass=False))


# K = 2 on two places: multicast reads the ifmap word once. A clock of 37 pJ makes 1 cycle better.
@pytest.mark.parametrize(("multicast", "ifmap_pj"), [(("ifmap", "weight"), 80), (("weight",), 160)])
def test_energy_of_two_places_by_hand(multicast: tuple[str, ...], ifmap_pj: int) -> None:
    array = Array.model_validate({"axes": {"X": 2}, "multicast": multicast, "noc_pj_per_bit": 1})
    clocked = machine(DRAM, array, control=Control(clock_pj_per_cycle=37))
    noc = 2 * 8 + 2 * 8
    energy = 2 * 19 + ifmap_pj + 160 + 320 + noc + 37
    found = least(small(K=2), clocked)
    assert found["energy"][0] == found["edp"][0] == energy
    assert found["cycles"][0] == 1


# C = 2 takes 2 cycles in time, the psum kept beside the MAC. On two places it takes 1, and a psum
# of 16 bits passes over a dear wire to be added. Either way 4 operands of 8 bits take the wires.
def test_front_by_hand() -> None:
    array = Array(axes={"X": 2}, multicast=(), noc_pj_per_bit=1000)
    psum = Memory(
        tensors=("ofmap",), cell="sram", capacity_bits=16, read_pj_per_bit=0, write_pj_per_bit=0
    )
    made = machine(DRAM, array, spad_level(psum), control=CALM)
    frugal = 2 * 19 + 4 * 8 * (10 + 1000) + 8 * 20
    points = [(energy, cycles) for energy, cycles, _ in front(small(C=2), made)]
    assert points == [(frugal + 16 * 1000, 1), (frugal, 2)]


def prices(pairs: Iterable[tuple[float, float]]) -> set[tuple[str, float]]:
    """Energies, to nine digits, and cycles."""
    return {(f"{energy:.9e}", cycles) for energy, cycles in pairs}


@cache
def naive_cases() -> list[Case]:
    """Tiny cases of each kind, and of the drawn ones those of which everything can be tried."""
    two = Array(axes={"X": 2}, noc_pj_per_bit=3, skewed=True)
    inner = Array(axes={"Z": 2}, noc_pj_per_bit=5, reduces=False)
    psums, weights = (sized(pad, 32) for pad in (PADS[2], PADS[1]))
    known = [
        (small(K=3), machine(dram_level(), glb_level(weights), two, spad_level(psums))),
        (small(C=2, K=2), machine(dram_level(), glb_level(psums), grid(2, 2))),
        (small(C=2, N=2), machine(dram_level(), two, glb_level(psums), inner)),
        (small(C=4), machine(dram_level(), grid(2, 2), spad_level(weights))),
    ]
    found = (
        case
        for case in stream(3, most=2000)
        if longest(case[0]) <= 4 and 100 < work(*case, most=longest(case[0])) < NAIVE_WORK
    )
    return [*known, *islice(found, NAIVE - len(known))]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(NAIVE))
def test_same_prices_as_everything_tried(number: int) -> None:
    layer, made = naive_cases()[number]
    tried = [cost(layer, m, made) for m in naive_mappings(layer, made, most=longest(layer))]
    naive = [(price.energy_pj, price.cycles) for price in tried]
    found = [(energy, cycles) for part in costs(layer, made) for energy, cycles in part]
    assert prices(found) == prices(naive)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6))
def test_loops_of_one_trip_change_no_price(number: int) -> None:
    layer, made = naive_cases()[number]
    most = min(longest(layer), 2) + 1
    tried = [cost(layer, m, made) for m in naive_mappings(layer, made, most=most)]
    naive = [(price.energy_pj, price.cycles) for price in tried]
    found = [(energy, cycles) for part in costs(layer, made) for energy, cycles in part]
    assert prices(naive) <= prices(found)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(drawn(most=60_000))
def test_mappings_are_valid_and_cost_what_hwsim_says(case: Case) -> None:
    layer, made = case
    choose = Random(0)
    for nest in list(nests(layer, made))[::7]:
        at = choose.randrange(len(nest.costs))
        mapping = nest.mapping(at)
        validate(mapping, layer, made)
        price = cost(layer, mapping, made)
        assert nest.costs[at, 0] == pytest.approx(price.energy_pj, rel=ROUNDING)
        assert nest.costs[at, 1] == price.cycles


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_least_and_front_are_those_of_all_costs(number: int) -> None:
    layer, made = some_cases(5, 20, most=60_000)[number]
    every = [(energy, cycles) for part in costs(layer, made) for energy, cycles in part]
    found = least(layer, made)
    for name, (e, c) in OBJECTIVES.items():
        best = min(energy**e * cycles**c for energy, cycles in every)
        assert found[name][0] == pytest.approx(best, rel=ROUNDING)
    points = [(energy, cycles) for energy, cycles, _ in front(layer, made)]
    assert points[0][1] == found["cycles"][0]
    assert points[-1][0] == pytest.approx(found["energy"][0], rel=ROUNDING)
    for before, (energy, cycles) in pairwise(((inf, 0), *points)):
        fast = min(e for e, c in every if c <= cycles)
        assert energy == pytest.approx(fast, rel=ROUNDING)
        assert energy < before[0]
        assert not [e for e, c in every if c < cycles and e < before[0] * (1 - ROUNDING)]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
def test_counts_of_the_best_are_those_of_a_walk(number: int) -> None:
    layer, made = some_cases(6, 10, most=20_000)[number]
    for _, mapping in least(layer, made).values():
        walked = walk(layer, mapping, shared=made.shared, padding=made.stores_padding)
        counted = access_counts(layer, mapping, shared=made.shared, padding=made.stores_padding)
        assert list(counted) == walked


def test_cases_are_the_same_for_the_same_seed() -> None:
    assert cases(1, 5) == cases(1, 5)
    assert cases(1, 5) != cases(2, 5)


def test_a_table_reads_back(tmp_path: Path) -> None:
    (case,) = cases(4, 1, most=20_000)
    path = tmp_path / "table.json"
    path.write_text(json.dumps([record(*case)]))
    ((same, found),) = read(path)
    assert same == case
    assert found["size"] == size(*case)
