"""How mappings fall into passes: nothing lost, exact where tiles are uniform, hand-worked cases."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from hwsim.hardware import Accelerator
from hwsim.latency import restarts
from hwsim.mapping import Loop, Mapping, Store
from hwsim.passes import Passes, distinct_rows, passes
from hwsim.ports import Cycles, demand, port_names
from hwsim.traffic import Transfer, transfers
from hwsim.workload import TENSORS, Layer, Op
from tests import oracle
from tests.eyeriss import EYERISS, chip_task
from tests.machines import MATMUL, SQUARE, STATIONARY, Case, cases, dram_level, glb_level, machine
from tests.test_latency import with_bus, with_memory

FLAT = machine(dram_level(), glb_level())
Shares = dict[tuple[str, str], list[Fraction]]


def found(layer: Layer, mapping: Mapping, where: Accelerator) -> tuple[Passes, list[Transfer]]:
    moves = transfers(layer, mapping, where)
    return passes(layer, mapping, where, moves), list(moves)


def shares(layer: Layer, mapping: Mapping, where: Accelerator) -> tuple[Shares, Shares]:
    """By (tensor, child) the share of each pass, inwards and outwards."""
    cut, moves = found(layer, mapping, where)
    ways: tuple[Shares, Shares] = ({}, {})
    for way, by_kind in zip(ways, (cut.inward, cut.outward), strict=True):
        for move, kinds in zip(moves, by_kind, strict=True):
            way[move.tensor, move.link.child] = [kinds[kind] for kind in cut.order.tolist()]
    return ways


@given(cases(timed=True))
@settings(max_examples=75, deadline=None)
def test_passes_add_up_to_the_layer(case: Case) -> None:
    layer, mapping, where = case
    cut, moves = found(layer, mapping, where)
    times = Counter(cut.order.tolist())
    steps = sum(times[kind] * steps for kind, steps in enumerate(cut.steps))
    assert steps == oracle.compute_steps(layer, mapping)
    assert cut.starts == restarts(layer, mapping, moves)
    assert len(cut.order) == cut.starts or cut.starts == 1
    for move, *ways in zip(moves, cut.inward, cut.outward, strict=True):
        link = move.link
        counts = ((link.reads, link.delivered), (link.collected, link.writes))
        for kinds, words in zip(ways, counts, strict=True):
            total = sum(times[kind] * share for kind, share in enumerate(kinds))
            assert total == 1 if any(words) else total in (0, 1)
            assert min(kinds) >= 0


@given(cases(timed=True))
@settings(max_examples=60, deadline=None)
def test_the_first_and_the_last_pass_are_of_their_own_kind(case: Case) -> None:
    cut, _ = found(*case)
    order = cut.order.tolist()
    assert order.count(order[0]) == order.count(order[-1]) == 1


def test_uniform_tiles() -> None:
    """K in two tiles, then C in two: weights come in quarters, psums back in every second pass.

    The buffer holds all ifmaps from the start and sends all ofmaps in the end.
    """
    layer = Layer(name="even", op=Op.MATMUL, N=2, C=4, K=4)
    inward, outward = shares(layer, STATIONARY, SQUARE)
    quarters = [Fraction(1, 4)] * 4
    halves = [Fraction(0), Fraction(1, 2)] * 2
    assert inward == {
        ("ifmap", "GLB"): [Fraction(n) for n in (1, 0, 0, 0)],
        ("ifmap", "MAC"): quarters,
        ("weight", "spad"): quarters,
        ("weight", "MAC"): quarters,
        ("ofmap", "GLB"): [Fraction(0)] * 4,
        ("ofmap", "MAC"): halves,
    }
    assert outward["ofmap", "GLB"] == [0, 0, 0, 1]
    assert outward["ofmap", "MAC"] == quarters


def test_a_ragged_tile_moves_less() -> None:
    """K = 3 in tiles of 2: the second tile has half of the first one's weights and psums."""
    inward, outward = shares(MATMUL, STATIONARY, SQUARE)
    assert inward["weight", "spad"] == [Fraction(n, 6) for n in (2, 2, 1, 1)]
    assert outward["ofmap", "MAC"] == [Fraction(n, 6) for n in (2, 2, 1, 1)]
    cut, _ = found(MATMUL, STATIONARY, SQUARE)
    assert [cut.steps[kind] for kind in cut.order.tolist()] == [2, 2, 2, 2]


def test_sliding_windows_bring_new_rows_only() -> None:
    """3 filter rows slide over 8 ofmap rows, two at a time: 4 rows come first, then 2 each time."""
    layer = Layer(name="slides", P=8, Q=5, R=3, S=2)
    mapping = Mapping(
        (
            Store("DRAM", TENSORS),
            Store("GLB", ("weight",)),
            Loop("P", 2),
            Store("GLB", ("ifmap", "ofmap")),
            *(Loop(dim, 1) for dim in "PQRS"),
        )
    )
    inward, outward = shares(layer, mapping, single(FLAT))
    assert inward["ifmap", "GLB"] == [Fraction(n, 10) for n in (4, 2, 2, 2)]
    assert outward["ofmap", "GLB"] == [Fraction(1, 4)] * 4


def single(where: Accelerator) -> Accelerator:
    return with_memory(where, "GLB", buffering="single")


@pytest.mark.parametrize("name", ["CONV2", "CONV3", "CONV5"])
def test_on_eyeriss_a_pass_is_the_papers_processing_pass(name: str) -> None:
    """Table III: a pass takes p x t filters, q x r channels, n images and e rows of ofmap."""
    layer, mapping = chip_task(name)
    cut, moves = found(layer, mapping, EYERISS)
    weights = next(i for i, m in enumerate(moves) if (m.tensor, m.link.child) == ("weight", "spad"))
    tiles = {loop.dim: loop.tile for loop in mapping.loops if not loop.axis and loop.tile > 1}
    filters, channels = tiles["K"], tiles["C"]
    words = moves[weights].link.reads * cut.inward[weights][int(cut.order[1])]
    assert words == filters * channels * layer.R * layer.S


def test_ports_take_bits_over_widths() -> None:
    """24 MACs read their weights of 4 bits from 4 pads, at half a bit a cycle each: 48 cycles; 12
    psums of 16 bits leave over a bus of 4 bits, 6 come back."""
    slow = with_bus(with_memory(SQUARE, "spad", read_bits_per_cycle=0.5), "ofmap", 4)
    moves = {(m.tensor, m.link.child): m for m in transfers(MATMUL, STATIONARY, slow)}
    names = port_names(slow)
    assert list(names.values()) == ["psum bus in", "psum bus out", "spad read"]

    def named(cycles: Cycles) -> dict[str, float]:
        return {names[port]: n for port, n in cycles.items()}

    assert named(demand(moves["weight", "MAC"]).inward) == {"spad read": 48}
    psums = demand(moves["ofmap", "MAC"])
    assert named(psums.inward) == {"psum bus in": 24}
    assert named(psums.outward) == {"psum bus out": 48}


def test_neighbouring_memories_and_arrays_have_ports_of_their_own() -> None:
    names = list(port_names(EYERISS).values())
    assert names[:3] == ["DRAM", "GLB ifmap+ofmap read", "GLB ifmap+ofmap write"]
    assert names[-1] == "psum bus out"


def test_distinct_rows_are_sorted_and_found_again() -> None:
    columns = [np.array(column) for column in ([3, 1, 3, 1, 3], [9, 2, 9, -4, 0], [5, 5, 5, 5, 5])]
    rows, which = distinct_rows(columns)
    table = list(zip(*(column.tolist() for column in columns), strict=True))
    assert [tuple(row) for row in rows.tolist()] == sorted(set(table))
    assert [tuple(rows[kind].tolist()) for kind in which.tolist()] == table
