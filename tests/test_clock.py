"""The compiled words, cycles and energy against what they compile, and their laws."""

from collections.abc import Sequence
from dataclasses import replace
from math import isnan
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cost import Cost, cost
from hwsim.hardware import Accelerator, Array, MemoryLevel, load_machine
from hwsim.latency import Load, elapsed, restarts
from hwsim.mapping import Loop, Mapping, Node, Store
from hwsim.registry import names
from hwsim.reuse import compute_steps
from hwsim.search.clock import Floats, Ints, Timing, cycles, floor, timing, whole
from hwsim.search.price import energy_pj, prices
from hwsim.search.words import Words, count, ground
from hwsim.simulate import best_mapping
from hwsim.skipping import compute_cycles
from hwsim.traffic import Transfer, transfers
from hwsim.workload import TENSORS, Layer, Op
from tests.eyeriss import ALEXNET, EYERISS, chip_task
from tests.machines import (
    DRAM,
    MATMUL,
    PADS,
    SQUARE,
    STATIONARY,
    Case,
    cases,
    convs,
    dram_level,
    spad_level,
)
from tests.strategies import LEVELS, layers, mappings

SHIPPED = [load_machine(name) for name in names("machine")]
CLOSE = 1e-12


class Numbers(NamedTuple):
    """A mapped layer as `cycles` and `floor` take it, after its timing."""

    links: int
    tensors: Ints
    parents: Ints
    children: Ints
    words: Floats
    first: Floats
    tile: Floats
    above: Ints
    below: Ints
    starts: int
    compute: float


def numbers(
    layer: Layer, mapping: Mapping, machine: Accelerator, moves: Sequence[Transfer] = ()
) -> Numbers:
    """With the links in the order of `moves`, if given."""
    moves = moves or transfers(layer, mapping, machine)
    levels = [*(level.level for level in machine.levels), "MAC"]
    links = [move.link for move in moves]
    return Numbers(
        links=len(moves),
        tensors=np.array([TENSORS.index(link.tensor) for link in links]),
        parents=np.array([levels.index(link.parent) for link in links]),
        children=np.array([levels.index(link.child) for link in links]),
        words=np.array([(n.reads, n.writes, n.delivered, n.collected) for n in links], float),
        first=np.array([move.first_words for move in moves], float),
        tile=np.array([move.tile_words for move in moves], float),
        above=np.array([move.parent_instances for move in moves]),
        below=np.array([move.child_instances for move in moves]),
        starts=restarts(layer, mapping, moves),
        compute=float(compute_cycles(layer, mapping, machine.mac)),
    )


def onto(mapping: Mapping, machine: Accelerator) -> Mapping:
    """A drawn mapping with a machine's levels and axes, without what it lacks."""
    levels = dict(zip(LEVELS, machine.levels, strict=False))
    axes = {axis for array in machine.arrays for axis in array.axes}
    nodes: list[Node] = []
    for node in mapping:
        if isinstance(node, Loop):
            nodes.append(replace(node, axis=node.axis if node.axis in axes else None))
        elif level := levels.get(node.level):
            kept = tuple(tensor for tensor in node.tensors if level.memory(tensor))
            nodes += [Store(level.level, kept)] if kept else []
    return Mapping(tuple(nodes))


def narrowed(layer: Layer, machine: Accelerator, *, ifmap: int, weight: int, ofmap: int) -> Layer:
    """The layer at such bits, or as many as the machine's MACs take."""
    mac = machine.mac
    narrow = {"ifmap": min(ifmap, mac.ifmap_bits), "weight": min(weight, mac.weight_bits)}
    return layer.at_bits(**narrow, ofmap=ofmap, psum=16)


@st.composite
def shipped_cases(draw: st.DrawFn) -> Case:
    """A small layer of 8 bits or fewer, any mapping of it and a shipped machine."""
    machine = draw(st.sampled_from(SHIPPED))
    layer = draw(st.one_of(layers(points=120), convs()))
    bits = st.sampled_from((4, 8))
    layer = narrowed(layer, machine, ifmap=draw(bits), weight=draw(bits), ofmap=draw(bits))
    density = draw(st.sampled_from((0.25, 1.0)))
    layer = replace(layer, ifmap=replace(layer.ifmap, density=density))
    if machine.mac.zero_skipping:
        layer = replace(layer, op=Op.CONV, operands=1)
    return layer, onto(draw(mappings(layer)), machine), machine


@st.composite
def skewed_cases(draw: st.DrawFn) -> Case:
    """A drawn case whose arrays may pass words on from instance to instance."""
    layer, mapping, machine = draw(cases(timed=True))
    parts = tuple(
        part.model_copy(update={"skewed": draw(st.booleans())}) if isinstance(part, Array) else part
        for part in machine.hierarchy
    )
    values = machine.model_dump() | {"hierarchy": parts}
    return layer, mapping, Accelerator.model_validate(values)


any_case = st.one_of(skewed_cases(), shipped_cases())


def reference(moves: tuple[Transfer, ...], machine: Accelerator, nest: Numbers) -> float:
    skew = nest.starts * sum(array.skew_cycles for array in machine.arrays)
    loads = [Load.of(move, nest.starts) for move in moves]
    return elapsed(loads, skew=skew, compute=nest.compute)[0]


def counted(layer: Layer, mappings: Sequence[Mapping], machine: Accelerator) -> Words:
    return count(ground(layer, machine), timing(layer, machine).links, mappings, machine)


def check_words(layer: Layer, mapping: Mapping, found: Words, number: int, nest: Numbers) -> None:
    """The words of one of the mappings that were counted are those of its transfers."""
    own = slice(found.begin[number], found.begin[number + 1])
    expected = nest.tensors, nest.parents, nest.children, nest.above, nest.below
    assert found.links[:, own].tolist() == [row.tolist() for row in expected]
    assert found.words[own].tolist() == nest.words.tolist()
    assert found.tiles[:, own].tolist() == [nest.first.tolist(), nest.tile.tolist()]
    assert found.starts[number] == nest.starts
    assert found.steps[number].prod() == compute_steps(layer, mapping)


def check(layer: Layer, mapping: Mapping, machine: Accelerator) -> Cost:
    """Words, cycles and energy, compiled and not, are the same."""
    nest, found = numbers(layer, mapping, machine), cost(layer, mapping, machine)
    check_words(layer, mapping, counted(layer, [mapping], machine), 0, nest)
    time = cycles(timing(layer, machine), *nest)
    moves = transfers(layer, mapping, machine)
    assert time == pytest.approx(reference(moves, machine, nest), rel=CLOSE)
    assert whole(time) == found.cycles
    energy = energy_pj(prices(layer, machine), *nest[:5], whole(time))
    assert energy == pytest.approx(found.energy_pj, rel=CLOSE)
    return found


@pytest.mark.slow
@given(skewed_cases())
@settings(max_examples=100, deadline=None)
def test_a_drawn_machine_takes_the_same_cycles_and_energy(case: Case) -> None:
    check(*case)


@given(shipped_cases())
@settings(max_examples=100, deadline=None)
def test_a_shipped_machine_takes_the_same_cycles_and_energy(case: Case) -> None:
    check(*case)


@pytest.mark.parametrize("name", ALEXNET)
def test_the_chip_takes_the_same_cycles_and_energy(name: str) -> None:
    check(*chip_task(name), EYERISS)


LAYERS = (
    Layer(name="strided", K=24, C=6, P=7, Q=9, R=5, S=3, stride_h=2, stride_w=3, pad_h=1),
    Layer(name="grouped", G=4, K=6, C=5, P=9, Q=7, R=3, S=2, pad_w=1),
    Layer(name="depthwise", G=32, P=14, Q=13, R=3, S=3, stride_h=2, pad_h=1, pad_w=1),
    Layer(name="pointwise", N=2, K=32, C=24, P=7, Q=6),
)


@pytest.mark.parametrize("machine", SHIPPED, ids=lambda machine: machine.name)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_best_mappings_take_the_same_cycles_and_energy(layer: Layer, machine: Accelerator) -> None:
    narrow = narrowed(layer, machine, ifmap=8, weight=8, ofmap=8)
    mapping, found = best_mapping(narrow, machine)
    assert check(narrow, mapping, machine).cycles == found.cycles


def test_a_link_that_a_machine_lacks_has_no_price() -> None:
    """SQUARE's buffer keeps no weight."""
    nest = numbers(MATMUL, STATIONARY, SQUARE)
    parents = np.where(nest.tensors == TENSORS.index("weight"), 1, nest.parents)
    lacking = nest._replace(parents=parents)
    assert isnan(energy_pj(prices(MATMUL, SQUARE), *lacking[:5], 1.0))


@given(shipped_cases(), st.data())
@settings(max_examples=30, deadline=None)
def test_mappings_are_counted_side_by_side(case: Case, data: st.DataObject) -> None:
    """What is remembered of one mapping's windows is not taken for another's."""
    layer, first, machine = case
    mixed = [first, *(onto(data.draw(mappings(layer)), machine) for _ in range(2)), first]
    found = counted(layer, mixed, machine)
    for number, mapping in enumerate(mixed):
        check_words(layer, mapping, found, number, numbers(layer, mapping, machine))


# Laws


def ratios(count: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.sampled_from((0.0, 0.0, 0.5, 1.0)), min_size=count, max_size=count)


@given(any_case, st.data())
@settings(max_examples=100, deadline=None)
def test_no_cycles_fall_when_words_tiles_or_starts_grow(case: Case, data: st.DataObject) -> None:
    layer, _, machine = case
    nest, clock = numbers(*case), timing(layer, machine)
    grown = nest._replace(
        words=nest.words + 30 * np.reshape(data.draw(ratios(4 * nest.links)), (-1, 4)),
        first=nest.first * (1 + np.array(data.draw(ratios(nest.links)))),
        tile=nest.tile * (1 + np.array(data.draw(ratios(nest.links)))),
        starts=nest.starts + data.draw(st.integers(0, 2)),
    )
    assert cycles(clock, *grown) >= cycles(clock, *nest) * (1 - CLOSE)


@given(any_case)
@settings(max_examples=100, deadline=None)
def test_no_link_moves_fewer_words_than_the_least(case: Case) -> None:
    nest, least = numbers(*case), timing(case[0], case[2]).least
    assert (nest.words >= least[nest.tensors, nest.parents, nest.children]).all()


@given(any_case, st.data())
@settings(max_examples=100, deadline=None)
def test_the_floor_is_below_the_cycles_of_what_is_not_known(
    case: Case, data: st.DataObject
) -> None:
    """Neither links, nor some links' words and tiles, nor how many instances share them."""
    layer, _, machine = case
    nest = numbers(*case, data.draw(st.permutations(transfers(*case))))
    clock = timing(layer, machine)
    known = nest._replace(
        links=data.draw(st.integers(0, nest.links)),
        words=nest.words * np.reshape(data.draw(ratios(4 * nest.links)), (-1, 4)),
        first=nest.first * data.draw(ratios(nest.links)),
        tile=nest.tile * data.draw(ratios(nest.links)),
        above=nest.above + data.draw(st.integers(0, 3)),
        below=nest.below + data.draw(st.integers(0, 3)),
        starts=data.draw(st.integers(1, nest.starts)),
        compute=data.draw(st.sampled_from((1.0, nest.compute))),
    )
    assert floor(clock, *known) <= cycles(clock, *nest) * (1 + CLOSE)


@given(any_case)
@settings(max_examples=100, deadline=None)
def test_the_floor_is_the_cycles_where_all_is_known(case: Case) -> None:
    """With an even number of starts no word is cut in half."""
    layer, _, machine = case
    nest, clock = numbers(*case), timing(layer, machine)
    even = nest._replace(starts=2 * nest.starts)
    assert floor(clock, *even) == pytest.approx(cycles(clock, *even), rel=CLOSE)


@given(any_case)
@settings(max_examples=100, deadline=None)
def test_the_floor_of_unknown_words_is_that_of_the_least(case: Case) -> None:
    nest, clock = numbers(*case), timing(case[0], case[2])
    least = clock.least[nest.tensors, nest.parents, nest.children]
    unknown, known = nest._replace(words=0 * nest.words), nest._replace(words=least)
    assert floor(clock, *unknown) == floor(clock, *known)


def test_what_a_link_brings_at_least_takes_its_time() -> None:
    """192 bits of operands pass a DRAM port of half a bit a cycle, whatever the mapping."""
    slow = dram_level(DRAM.model_copy(update={"read_bits_per_cycle": 0.5}))
    nest, machine = numbers(MATMUL, STATIONARY, SQUARE), replaced(SQUARE, 0, slow)
    unknown = nest._replace(words=0 * nest.words)
    operands = 8 * MATMUL.words("ifmap") + 4 * MATMUL.words("weight")
    assert floor(timing(MATMUL, machine), *unknown) >= operands / 0.5


def test_the_floor_rounds_no_word_that_fewer_instances_would_not_cut() -> None:
    """Two pads hold a psum each and half of them are waited for: 8 bits a pad, in 16 cycles. Shared
    by three pads, which is too many, one and a half would be rounded up to two."""
    slow = spad_level(PADS[2].model_copy(update={"read_bits_per_cycle": 0.5}))
    layer = Layer(name="two", K=2).at_bits(ifmap=8, weight=8, ofmap=8, psum=16)
    machine = replaced(SQUARE, -1, slow)
    nodes = Store("DRAM", TENSORS), Loop("K", 1, "X"), Store("spad", ("ofmap",))
    nest, clock = numbers(layer, Mapping(nodes), machine), timing(layer, machine)
    busy = nest._replace(compute=1000.0)
    more = busy._replace(below=busy.below + 1)
    assert cycles(clock, *busy) == floor(clock, *more) == 1016
    assert cycles(clock, *more) > 1016


def replaced(machine: Accelerator, at: int, level: MemoryLevel) -> Accelerator:
    """The machine with another level at that place of its hierarchy."""
    parts = list(machine.hierarchy)
    parts[at] = level
    return Accelerator.model_validate(machine.model_dump() | {"hierarchy": tuple(parts)})


def test_the_clock_of_no_links_is_arithmetic_alone() -> None:
    clock: Timing = timing(MATMUL, SQUARE)
    none = numbers(MATMUL, STATIONARY, SQUARE)._replace(links=0, compute=7.0)
    assert cycles(clock, *none) == floor(clock, *none) == 7
