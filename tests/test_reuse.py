"""Access counts against a walk of the loop nest, counts by hand, and laws."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwsim import reuse
from hwsim.mapping import Loop, Mapping, Store
from hwsim.reuse import Link, access_counts
from hwsim.workload import TENSORS, Layer, Op
from tests import oracle
from tests.strategies import Shared, layers, mappings, sharings

DRAM = Store("DRAM", TENSORS)
NOTHING: Shared = {axis: frozenset() for axis in "XYZ"}
ALL: Shared = {axis: frozenset(TENSORS) for axis in "XYZ"}

LAW = settings(max_examples=100, deadline=None, derandomize=True)

Case = tuple[Layer, Mapping]


@st.composite
def cases(draw: st.DrawFn, points: int = 600) -> Case:
    layer = draw(layers(points=points))
    return layer, draw(mappings(layer))


def link(links: tuple[Link, ...], tensor: str, parent: str, child: str) -> Link:
    return next(x for x in links if (x.tensor, x.parent, x.child) == (tensor, parent, child))


def to_macs(links: tuple[Link, ...]) -> list[Link]:
    return [link for link in links if link.child == reuse.MAC]


# The oracle


@settings(LAW, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(cases(), sharings(), st.booleans())
def test_counts_equal_a_walk_of_the_nest(case: Case, shared: Shared, padding: bool) -> None:
    layer, mapping = case
    counted = access_counts(layer, mapping, shared=shared, padding=padding)
    assert set(counted) == set(oracle.walk(layer, mapping, shared=shared, padding=padding))


@LAW
@given(cases())
def test_steps_equal_a_walk_of_the_nest(case: Case) -> None:
    assert reuse.compute_steps(*case) == oracle.compute_steps(*case)


@LAW
@given(cases(points=100))
def test_the_walk_visits_every_point_once(case: Case) -> None:
    assert oracle.total_macs(*case) == case[0].operations


# By hand


def test_weight_stationary_matmul() -> None:
    """3 x 2 PEs hold a weight each; 4 inputs of 3 words pass by."""
    layer = Layer(name="fc", op=Op.LINEAR, N=4, K=2, C=3)
    nest = Mapping(
        (
            DRAM,
            Loop("K", 1, "X"),
            Loop("C", 1, "Y"),
            Store("spad", ("weight",)),
            Loop("N", 1),
        )
    )
    shared: Shared = {"X": frozenset({"ifmap"}), "Y": frozenset({"ofmap"})}
    assert set(access_counts(layer, nest, shared=shared)) == {
        Link("weight", "DRAM", "spad", reads=6, delivered=6),
        Link("weight", "spad", "MAC", reads=24, delivered=24),
        Link("ifmap", "DRAM", "MAC", reads=12, delivered=24),
        Link("ofmap", "DRAM", "MAC", reads=0, delivered=0, collected=24, writes=8),
    }
    unshared = access_counts(layer, nest, shared=NOTHING)
    assert link(unshared, "ifmap", "DRAM", "MAC").reads == 24
    assert link(unshared, "ofmap", "DRAM", "MAC") == Link("ofmap", "DRAM", "MAC", 16, 16, 24, 24)


@pytest.mark.parametrize(("stride", "words"), [(1, 8), (2, 13), (3, 18)])
def test_a_sliding_window_fetches_each_word_once(stride: int, words: int) -> None:
    layer = Layer(name="row", Q=6, S=3, stride_w=stride)
    nest = Mapping((DRAM, Loop("Q", 1), Store("spad", ("ifmap",)), Loop("S", 1)))
    found = link(access_counts(layer, nest, shared=NOTHING), "ifmap", "DRAM", "spad")
    assert words == layer.W
    assert found == Link("ifmap", "DRAM", "spad", reads=words, delivered=words)


def test_a_pad_outside_the_window_keeps_its_row_while_filters_change() -> None:
    layer = Layer(name="row", K=2, Q=6, S=3)
    loops = (Loop("K", 1), Loop("Q", 1), Loop("S", 1))
    outside = Mapping((DRAM, Store("spad", ("ifmap",)), *loops))
    inside = Mapping((DRAM, *loops[:2], Store("spad", ("ifmap",)), loops[2]))
    kept, refetched = (
        link(access_counts(layer, nest, shared=NOTHING), "ifmap", "DRAM", "spad")
        for nest in (outside, inside)
    )
    assert (kept.reads, refetched.reads) == (8, 16)


def test_a_sweep_that_starts_again_brings_its_whole_first_tile() -> None:
    """Columns 0-2, then 3; at the next filter 0-2 again, although 1 and 2 are still there."""
    layer = Layer(name="row", K=2, Q=2, S=3)
    nest = Mapping((DRAM, Loop("K", 1), Loop("Q", 1), Store("spad", ("ifmap",)), Loop("S", 1)))
    found = link(access_counts(layer, nest, shared=NOTHING), "ifmap", "DRAM", "spad")
    assert found.reads == 2 * (3 + 1)


def test_loops_inside_the_mover_bring_nothing() -> None:
    layer = Layer(name="fc", op=Op.LINEAR, N=2, K=3, C=4)
    loops = (Loop("C", 2), Loop("K", 1), Loop("N", 1), Store("spad", ("weight",)), Loop("C", 1))
    counts = access_counts(layer, Mapping((DRAM, *loops)), shared=NOTHING)
    assert link(counts, "weight", "DRAM", "spad").reads == 3 * 4


def test_a_ragged_edge_of_a_single_tile_is_brought_again() -> None:
    """Channels 0 1 2 one by one, for each of 5 filters; then channel 3 for each, though it stays.
    Of 3 channels in threes, or where no loop cuts them, nothing moves the tile."""
    layer = Layer(name="fc", op=Op.LINEAR, K=5, C=4)
    loops = (Loop("C", 3), Loop("K", 1), Loop("C", 1), Store("spad", ("ifmap",)))
    counts = access_counts(layer, Mapping((DRAM, *loops)), shared=NOTHING)
    assert link(counts, "ifmap", "DRAM", "spad").reads == 5 * 3 + 5 * 1
    layer = Layer(name="fc", op=Op.LINEAR, K=5, C=3)
    loops = (Loop("C", 3), Loop("K", 1), Loop("C", 3), Store("spad", ("ifmap",)))
    counts = access_counts(layer, Mapping((DRAM, *loops, Loop("C", 1))), shared=NOTHING)
    assert link(counts, "ifmap", "DRAM", "spad").reads == 3


@pytest.mark.parametrize(("padding", "words"), [(False, 3), (True, 5)])
def test_padding_is_data_only_where_stored(padding: bool, words: int) -> None:
    layer = Layer(name="row", Q=3, S=3, pad_w=1)
    nest = Mapping((DRAM, Loop("Q", 1), Store("spad", ("ifmap",)), Loop("S", 1)))
    counts = access_counts(layer, nest, shared=NOTHING, padding=padding)
    assert link(counts, "ifmap", "DRAM", "spad").reads == words
    assert link(counts, "ifmap", "spad", "MAC").delivered == 9
    assert link(counts, "ifmap", "spad", "MAC").reads == (9 if padding else 7)


def test_a_psum_that_leaves_unfinished_comes_back() -> None:
    layer = Layer(name="row", C=3, Q=4)
    spad = Store("spad", ("ofmap",))
    spilled = Mapping((DRAM, Loop("C", 1), Loop("Q", 1), spad))
    finished = Mapping((DRAM, Loop("Q", 1), spad, Loop("C", 1)))
    counts = access_counts(layer, spilled, shared=NOTHING)
    assert link(counts, "ofmap", "DRAM", "spad") == Link("ofmap", "DRAM", "spad", 8, 8, 12, 12)
    counts = access_counts(layer, finished, shared=NOTHING)
    assert link(counts, "ofmap", "DRAM", "spad") == Link("ofmap", "DRAM", "spad", 0, 0, 4, 4)
    assert link(counts, "ofmap", "spad", "MAC") == Link("ofmap", "spad", "MAC", 8, 8, 12, 12)


def test_a_ragged_edge_idles() -> None:
    """Filters 0 1 2 on one PE, 3 4 on the other: three steps, five operations."""
    layer = Layer(name="fc", op=Op.LINEAR, K=5)
    nest = Mapping((DRAM, Loop("K", 3, "X"), Store("spad", ("ifmap",)), Loop("K", 1)))
    counts = access_counts(layer, nest, shared={"X": frozenset({"ifmap"})})
    assert reuse.compute_steps(layer, nest) == 3
    assert link(counts, "ifmap", "DRAM", "spad") == Link("ifmap", "DRAM", "spad", 1, 2)
    assert link(counts, "ifmap", "spad", "MAC") == Link("ifmap", "spad", "MAC", 5, 5)
    assert link(counts, "weight", "DRAM", "MAC") == Link("weight", "DRAM", "MAC", 5, 5)


def test_a_buffer_past_two_ragged_edges_sees_no_psum() -> None:
    """Channels 0 1 | 2 || 3 | none over 2 x 2 buffers: only the first adds to what it holds."""
    layer = Layer(name="row", C=4, Q=2)
    inner = (Store("GLB", ("ofmap",)), Loop("C", 1), Loop("Q", 1))
    nest = Mapping((DRAM, Loop("C", 3, "X"), Loop("C", 2, "Y"), *inner))
    counts = access_counts(layer, nest, shared=ALL)
    assert link(counts, "ofmap", "GLB", "MAC") == Link("ofmap", "GLB", "MAC", 2, 2, 8, 8)


# Laws


@LAW
@given(cases(points=5000), sharings(), st.booleans())
def test_no_operation_is_lost_or_invented(case: Case, shared: Shared, padding: bool) -> None:
    layer, mapping = case
    for into in to_macs(access_counts(layer, mapping, shared=shared, padding=padding)):
        operands = layer.operands if into.tensor == "ifmap" else 1
        words = into.collected if into.tensor == "ofmap" else into.delivered
        assert words == layer.operations * operands


@LAW
@given(cases(points=5000), sharings(), st.booleans())
def test_dram_sends_and_takes_every_word_at_least_once(
    case: Case, shared: Shared, padding: bool
) -> None:
    layer, mapping = case
    for found in access_counts(layer, mapping, shared=shared, padding=padding):
        if found.parent == "DRAM":
            words = found.writes if found.tensor == "ofmap" else found.reads
            assert words >= oracle.touched(layer, found.tensor, padding=padding)


@LAW
@given(cases(points=5000), sharings(), st.booleans())
def test_sharing_saves_transfers_and_changes_no_need(
    case: Case, shared: Shared, padding: bool
) -> None:
    none, some, every = (
        access_counts(*case, shared=who, padding=padding) for who in (NOTHING, shared, ALL)
    )
    for separate, mixed, together in zip(none, some, every, strict=True):
        assert separate.reads >= mixed.reads >= together.reads
        assert separate.writes >= mixed.writes >= together.writes
        assert separate.collected == mixed.collected == together.collected == separate.writes
        if separate.tensor != "ofmap":
            assert separate.delivered == mixed.delivered == together.delivered
        if separate.child != reuse.MAC:
            assert separate.reads == separate.delivered
