"""Ofmaps that stay on chip: which may, and that no other choice of them leaves less."""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain, combinations

import pytest

from hwsim._residents import Family, Flow
from hwsim.cost import fused_cost
from hwsim.errors import MappingError
from hwsim.found import Found, Question, Search
from hwsim.hardware import Accelerator
from hwsim.homes import with_homes
from hwsim.mapping import validate
from hwsim.objective import Objective
from hwsim.residence import keep_on_chip
from hwsim.simulate import accumulated, search, simulate
from hwsim.workload import Layer, Network, Op
from tests.eyeriss import EYERISS
from tests.machines import GLB, GRID, dram_level, glb_level, machine, sized, slotted, spad_level

A = Layer(name="a", K=4, C=3, P=5, Q=6, R=3, S=2)
RELU = Layer(name="relu", op=Op.ACTIVATION, G=4, P=5, Q=6)
B = Layer(name="b", K=4, C=4, P=5, Q=6, R=3, S=3, pad_h=1, pad_w=1)
SUM = Layer(name="sum", op=Op.ADD, G=4, P=5, Q=6, operands=2)
POOL = Layer(name="pool", op=Op.POOL, G=4, P=2, Q=3, R=2, S=2, H=5, W=6, stride_h=2, stride_w=2)
LAST = Layer(name="last", op=Op.LINEAR, K=5, C=24)
RESIDUAL = Network(
    "residual",
    (A, RELU, B, SUM, POOL, LAST),
    (
        ("a", "relu"),
        ("relu", "b"),
        ("relu", "sum"),
        ("b", "sum"),
        ("sum", "pool"),
        ("pool", "last"),
    ),
)


def buffered(bits: int, dataflow: str = "output_stationary") -> Accelerator:
    return machine(
        dram_level(),
        glb_level(sized(slotted(GLB, 16), bits)),
        GRID,
        spad_level(),
        dataflow=dataflow,
    )


def families(network: Network, found: Accelerator) -> tuple[Family, ...]:
    memory = found.level("GLB").memory("ofmap")
    assert memory is not None
    return Flow(network, found).families(memory)


def names(found: tuple[Family, ...]) -> list[list[str]]:
    return [[resident.producer for resident in family] for family in found]


def by_energy(question: Question) -> Found:
    """The search by energy, whatever is asked."""
    found = search(replace(question, objective="energy"))
    validate(found.mapping, question.layer, question.machine)
    return found


def test_operands_of_a_sum_stay_together_and_riders_do_not_count() -> None:
    found = families(RESIDUAL, buffered(2**16))
    assert names(found) == [["a", "b"], ["sum"], ["pool"]]
    skip, branch = found[0]
    assert (skip.first, skip.last, skip.consumers) == (0, 2, ("b", "sum"))
    assert (branch.first, branch.last, branch.consumers) == (1, 2, ("sum",))
    words = 4 * 5 * 6
    assert [skip.room_bits(step) for step in range(4)] == [words * 16] * 3 + [0]


def test_padding_that_is_kept_like_data_takes_room() -> None:
    skip = families(RESIDUAL, EYERISS)[0][0]
    assert (skip.made_bits, skip.held_bits) == (4 * 5 * 6 * 16, 4 * 7 * 8 * 16)


def test_psums_wider_than_their_ofmap_take_room_while_it_is_made() -> None:
    narrow = RESIDUAL.with_layers(
        {layer.name: layer.at_bits(ifmap=8, weight=8, ofmap=8, psum=16) for layer in RESIDUAL}
    )
    found = machine(dram_level(), glb_level(slotted(GLB, 8)), GRID, spad_level())
    skip = families(narrow, found)[0][0]
    assert [skip.room_bits(step) for step in range(3)] == [1920, 960, 960]


@pytest.mark.parametrize(
    ("consumer", "edges"),
    [
        (Layer(name="crop", K=2, C=4, P=3, Q=6), [("a", "crop")]),  # reads 3 rows of 5
        (Layer(name="product", op=Op.MATMUL, N=5, C=24, K=4), [("a", "product"), ("b", "product")]),
        (Layer(name="sum", op=Op.ADD, G=4, P=5, Q=6, operands=2), [("a", "sum")]),  # a + input
    ],
)
def test_an_ofmap_that_is_not_just_an_ifmap_goes_to_dram(
    consumer: Layer, edges: list[tuple[str, str]]
) -> None:
    network = Network("odd", (A, B, consumer), (("a", "b"), *edges))
    assert names(families(network, buffered(2**16))) == []


def test_an_output_goes_to_dram_though_others_read_it() -> None:
    network = Network("two outputs", (A, RELU, B), (("a", "relu"), ("a", "b")))
    assert names(families(network, buffered(2**16))) == []


def subsets(found: tuple[Family, ...]) -> list[tuple[Family, ...]]:
    sizes = range(len(found) + 1)
    return list(chain.from_iterable(combinations(found, size) for size in sizes))


WEIGHTS: dict[Objective, Callable[[float, int], float]] = {
    "energy": lambda energy_pj, cycles: energy_pj,
    "cycles": lambda energy_pj, cycles: cycles,
    "edp": lambda energy_pj, cycles: energy_pj * cycles,
    "ed2p": lambda energy_pj, cycles: energy_pj * cycles * cycles,
}


@pytest.fixture
def quick() -> Search:
    """The same, no layer twice on one machine."""
    known: dict[tuple[Layer, str], Found] = {}

    def find(question: Question) -> Found:
        found = question.machine
        key = question.layer, str((found.homes, found.level("GLB").memories))
        if key not in known:
            known[key] = by_energy(question)
        return known[key]

    return find


def sums(
    found: Accelerator, kept: tuple[Family, ...], find: Search, network: Network = RESIDUAL
) -> tuple[float, int]:
    """Energy and cycles with some ofmaps on chip; endless where they do not fit."""
    residents, carriers = list(chain.from_iterable(kept)), Flow(network, found).carriers
    moving = [layer.name for layer in network if carriers[layer.name] == layer.name]
    energy_pj, cycles = 0.0, 0
    for layer in network:
        if layer.name not in moving:
            energy_pj += fused_cost(accumulated(layer, found), found).energy_pj
            continue
        made = {"ofmap": "GLB"} if any(r.producer == layer.name for r in residents) else {}
        read = {"ifmap": "GLB"} if any(layer.name in r.consumers for r in residents) else {}
        bits = 0
        for resident in residents:
            first, last = moving.index(resident.producer), moving.index(resident.consumers[-1])
            now = moving.index(layer.name)
            if now == first:
                bits += resident.made_bits
            elif first < now <= last:
                bits += resident.held_bits
        derived = with_homes(found, made | read, {("GLB", "ifmap"): bits})
        wide = accumulated(layer, found)
        try:
            asked = Question(layer=wide, machine=derived, effort=0) if derived else None
            cost = find(asked).cost if asked else None
        except MappingError:
            cost = None
        energy_pj += cost.energy_pj if cost else float("inf")
        cycles += cost.cycles if cost else 2**40
    return energy_pj, cycles


@pytest.mark.parametrize("bits", [1024, 2560, 4608, 2**16])
def test_no_other_choice_leaves_less(bits: int, quick: Search) -> None:
    found = buffered(bits)
    choices = [sums(found, kept, quick) for kept in subsets(families(RESIDUAL, found))]
    for objective, weigh in WEIGHTS.items():
        answer = keep_on_chip(RESIDUAL, found, search=quick, objective=objective)
        value = weigh(answer.totals.energy_pj, answer.totals.cycles)
        assert value == pytest.approx(min(weigh(*choice) for choice in choices), rel=1e-12)


def test_rows_are_the_network_s_and_map_on_the_machine_that_each_layer_sees() -> None:
    found = buffered(2**16)
    answer = keep_on_chip(RESIDUAL, found, search=by_energy, objective="energy")
    assert [resident.producer for resident in answer.kept] == ["a", "b", "sum", "pool"]
    assert [row.layer.name for row in answer.result.layers] == [layer.name for layer in RESIDUAL]
    for row in answer.result.layers:
        if row.mapping:
            validate(row.mapping, row.layer, answer.machines.get(row.layer.name, found))
    only = {row.layer.name: row.cost.dram_bits for row in answer.result.layers}
    weights = {"a": A, "b": B, "last": LAST}
    outside = {"a": A.words("ifmap") * 16, "last": 5 * 16}
    assert only == {
        name: (weights[name].words("weight") * 16 if name in weights else 0) + outside.get(name, 0)
        for name in only
    }


def test_apart_is_the_plain_simulation() -> None:
    found = buffered(4096)
    answer = keep_on_chip(RESIDUAL, found, search=by_energy, objective="energy")
    assert answer.apart == simulate(RESIDUAL, found, objective="energy")
    assert answer.totals.energy_pj <= answer.totals_apart.energy_pj


def test_without_a_buffer_of_both_maps_nothing_stays() -> None:
    split = glb_level(
        GLB.model_copy(update={"tensors": ("ifmap", "weight")}),
        GLB.model_copy(update={"tensors": ("ofmap",)}),
    )
    found = machine(dram_level(), split, GRID, spad_level(), dataflow="output_stationary")
    answer = keep_on_chip(RESIDUAL, found, search=by_energy, objective="energy")
    assert answer.kept == ()
    assert answer.result == answer.apart


def test_a_layer_that_fits_nowhere_is_refused_as_ever() -> None:
    with pytest.raises(MappingError, match="'a' fits no"):
        keep_on_chip(RESIDUAL, buffered(16), search=by_energy)
