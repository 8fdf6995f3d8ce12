"""Cycles of machines that skip zeros, against a walk, clocked queues and rows laid on shelves."""

from collections import deque
from dataclasses import replace
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.hardware import Mac
from hwsim.mapping import Loop, Mapping, Store
from hwsim.reuse import compute_steps
from hwsim.skipping import (
    balanced_cycles,
    barrier_cycles,
    column_entries,
    compute_cycles,
    estimated_cycles,
    expected_cycles,
    lane_work,
    packed_rounds,
    performed_share,
    queue_cycles,
    random_mask,
    sync_point,
)
from hwsim.sparsity import Format, encoded_bits
from hwsim.workload import Layer, Op, Storage, Tensor, Zeros
from tests.machines import STATIONARY
from tests.test_lanes import LINEAR, ROWS_APART, densities, masks, nests, seeds, walked

Ints = NDArray[np.int64]

BOTH = Mac(zero_skipping=("ifmap", "weight"))


@settings(deadline=None)
@given(nest=nests(), density=densities, seed=seeds)
def test_a_machine_that_skips_takes_the_cycles_of_real_zeros(
    nest: tuple[Layer, Mapping, int], density: float, seed: int
) -> None:
    layer, mapping, _ = nest
    ifmap, weight = masks(layer, density=density, seed=seed)
    work = walked(layer, mapping, 0, ifmap, weight)
    known = replace(
        layer, ifmap=Tensor(zeros=Zeros.of(ifmap)), weight=Tensor(zeros=Zeros.of(weight))
    )
    assert compute_cycles(known, mapping, BOTH) == max(1, work.max())
    assert performed_share(known, BOTH) * layer.macs == pytest.approx(work.sum())
    assert compute_cycles(known, mapping, Mac()) == compute_steps(layer, mapping)
    assert performed_share(known, Mac()) == 1


@settings(deadline=None)
@given(nest=nests(), seed=seeds)
def test_known_zeros_are_counted_and_others_expected(
    nest: tuple[Layer, Mapping, int], seed: int
) -> None:
    layer, mapping, sync = nest
    ifmap, _ = masks(layer, density=0.4, seed=seed)
    half = replace(layer, ifmap=Tensor(zeros=Zeros.of(ifmap)), weight=Tensor(density=0.25))
    done = walked(layer, Mapping(()), 0, ifmap, None).sum()
    assert performed_share(half, BOTH) * layer.macs == pytest.approx(0.25 * done)
    drawn = random_mask(layer.shape("weight"), density=0.25, seed=1)
    work = lane_work(layer, mapping, sync=sync, ifmap=ifmap, weight=drawn)
    found = expected_cycles(half, mapping, sync=sync, skipped=BOTH.zero_skipping)
    assert found == barrier_cycles(work)


@settings(deadline=None)
@given(nest=nests(), pair=st.tuples(densities, densities))
def test_lower_densities_never_take_more_cycles(
    nest: tuple[Layer, Mapping, int], pair: tuple[float, float]
) -> None:
    layer, mapping, sync = nest
    fewer, more = (
        expected_cycles(
            replace(layer, ifmap=Tensor(density=density), weight=Tensor(density=density)),
            mapping,
            sync=sync,
            skipped=BOTH.zero_skipping,
        )
        for density in sorted(pair)
    )
    assert fewer <= more


def test_balanced_cycles_miss_what_lanes_wait() -> None:
    layer = replace(LINEAR, weight=Tensor(density=0.3))
    mac = Mac(zero_skipping=("weight",))
    assert balanced_cycles(layer, ROWS_APART, mac) == 1200
    assert compute_cycles(layer, ROWS_APART, mac) > 1200
    assert balanced_cycles(layer, ROWS_APART, Mac()) == 4000


@settings(deadline=None)
@given(nest=nests(), density=densities)
def test_estimated_cycles_lie_between_those_of_even_zeros_and_of_none(
    nest: tuple[Layer, Mapping, int], density: float
) -> None:
    layer, mapping, _ = nest
    layer = replace(layer, weight=Tensor(density=density))
    mac, plain = Mac(zero_skipping=("weight",)), Mac()
    assert balanced_cycles(layer, mapping, mac) <= estimated_cycles(layer, mapping, mac)
    assert estimated_cycles(layer, mapping, mac) <= compute_cycles(layer, mapping, plain)
    assert estimated_cycles(layer, mapping, plain) == compute_cycles(layer, mapping, plain)


def test_estimated_cycles_are_near_those_that_are_counted() -> None:
    """Thirty lanes that meet in the end, of 400 products each."""
    layer = Layer(name="fc", op=Op.LINEAR, K=30, C=400)
    layer = replace(layer, weight=Tensor(density=0.3))
    mapping, mac = Mapping((Loop("K", 1, "X"), Loop("C", 1))), Mac(zero_skipping=("weight",))
    counted = [
        expected_cycles(layer, mapping, sync=0, skipped=("weight",), seed=seed)
        for seed in range(50)
    ]
    found = estimated_cycles(layer, mapping, mac)
    assert found == pytest.approx(sum(counted) / len(counted), rel=0.05)


def test_masks_of_any_size_are_one_draw() -> None:
    """Drawn in pieces, so that memory holds a byte and not eight for each element."""
    whole = np.random.default_rng(5).random((3, 700_001)) < 0.3
    np.testing.assert_array_equal(random_mask((3, 700_001), density=0.3, seed=5), whole)


@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_windows_cost_the_expected_maximum_of_the_lanes(density: float) -> None:
    """Six lanes, 200 windows of 20 MACs with zeros of their own: a maximum of binomials."""
    layer = replace(LINEAR, weight=Tensor(density=density))
    shares = [comb(20, n) * density**n * (1 - density) ** (20 - n) for n in range(20)]
    mean = (1 - np.cumsum(shares) ** 6).sum()
    cycles = [
        expected_cycles(layer, ROWS_APART, sync=1, skipped=("weight",), seed=seed)
        for seed in range(0, 40, 2)
    ]
    assert np.mean(cycles) / 200 == pytest.approx(mean, rel=0.01)
    assert mean > 1.05 * 20 * density


def test_only_the_skipped_operands_count() -> None:
    layer = replace(LINEAR, ifmap=Tensor(density=0.3), weight=Tensor(density=0.6))
    dense = expected_cycles(layer, ROWS_APART, sync=1, skipped=())
    assert dense == 4000
    ifmap = expected_cycles(layer, ROWS_APART, sync=1, skipped=("ifmap",))
    both = expected_cycles(layer, ROWS_APART, sync=1, skipped=("ifmap", "weight"))
    assert both < ifmap < dense
    again = expected_cycles(layer, ROWS_APART, sync=1, skipped=("weight", "ifmap"), seed=0)
    assert again == both
    assert ifmap == random_mask((1, 4000), density=0.3, seed=0).sum()


def test_lanes_wait_where_a_level_s_innermost_tile_changes() -> None:
    assert sync_point(STATIONARY, "DRAM") == 0
    assert sync_point(STATIONARY, "GLB") == 0
    assert sync_point(STATIONARY, "spad") == 4
    assert sync_point(STATIONARY, "latch") == 0
    deeper = Mapping((Store("spad", ("weight",)), Loop("K", 1), Store("spad", ("ifmap",))))
    assert sync_point(deeper, "spad") == 1


# Queues behind a broadcast


def clocked(work: Ints, depth: int) -> int:
    """A simulation cycle by cycle, of queues that are full or not at the beginning of a cycle."""
    steps, lanes = work.shape
    queues: list[deque[int]] = [deque() for _ in range(lanes)]
    left = [0] * lanes
    sent, cycle = 0, 0
    while sent < steps or any(queues) or any(left):
        room = all(len(queue) < depth for queue in queues)
        for lane in range(lanes):
            if not left[lane] and queues[lane]:
                left[lane] = max(1, queues[lane].popleft())
            left[lane] = max(0, left[lane] - 1)
        if sent < steps and room:
            for lane in range(lanes):
                queues[lane].append(int(work[sent, lane]))
            sent += 1
        cycle += 1
    return cycle


@st.composite
def loads(draw: st.DrawFn) -> Ints:
    """Work [step, lane] of a few lanes, some idle, some overloaded."""
    shape = draw(st.integers(1, 30)), draw(st.integers(1, 6))
    random = np.random.default_rng(draw(seeds))
    work: Ints = random.integers(0, draw(st.integers(1, 9)), shape)
    return work * random.integers(0, 3, shape)


@settings(deadline=None)
@given(work=loads(), depth=st.integers(1, 10))
def test_queues_are_as_long_busy_as_the_clocked_ones(work: Ints, depth: int) -> None:
    assert queue_cycles(work, depth=depth) == clocked(work, depth)


@settings(deadline=None)
@given(work=loads(), depth=st.integers(2, 10), seed=seeds)
def test_queues_lie_between_their_bounds(work: Ints, depth: int, seed: int) -> None:
    cycles = queue_cycles(work, depth=depth)
    busy = np.maximum(work, 1)
    assert work.sum() / work.shape[1] <= busy.sum(axis=0).max() < cycles
    assert cycles <= 1 + barrier_cycles(busy)
    assert queue_cycles(work, depth=depth + 1) <= cycles
    assert queue_cycles(work, depth=work.shape[0] + 1) == _unbounded(busy)
    less = work - np.random.default_rng(seed).integers(0, work + 1)
    assert queue_cycles(less, depth=depth) <= cycles
    assert queue_cycles(work[1:], depth=depth) <= cycles


def _unbounded(busy: Ints) -> int:
    """With room for all steps, lane by lane: one step arrives a cycle."""
    free = np.zeros(busy.shape[1], np.int64)
    for step, work in enumerate(busy):
        free = np.maximum(free, step + 1) + work
    return int(free.max())


@pytest.mark.parametrize("depth", [2, 8])
def test_a_dense_matrix_takes_its_rows_a_lane_for_each_column(depth: int) -> None:
    work = column_entries(np.ones((48, 100), bool), lanes=16, index_bits=4)
    assert queue_cycles(work, depth=depth) == 1 + 3 * 100


def test_a_queue_holds_something() -> None:
    with pytest.raises(InputError, match="depth = 0: must be at least 1"):
        queue_cycles(np.ones((2, 2), np.int64), depth=0)


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 120), st.integers(1, 4)),
    lanes=st.integers(1, 5),
    index_bits=st.integers(1, 5),
    density=st.sampled_from((0.0, 0.02, 0.1, 0.5, 1.0)),
    seed=seeds,
)
def test_entries_are_those_of_the_relative_index_up_to_the_last_non_zero(
    shape: tuple[int, int], lanes: int, index_bits: int, density: float, seed: int
) -> None:
    mask = random_mask(shape, density=density, seed=seed)
    form = Format(storage=Storage.RELATIVE_INDEX, index_bits=index_bits)
    entries = column_entries(mask, lanes=lanes, index_bits=index_bits)
    for column, lane in product(range(shape[1]), range(lanes)):
        own = -mask[lane::lanes, column].astype(np.int64)
        own = np.trim_zeros(own, "b")
        assert entries[column, lane] * (index_bits + 1) == encoded_bits(form, own, bits=1)


# Rounds of packed rows


def shelved(nonzeros: list[int], multipliers: int, carried: int) -> int:
    """Rounds, by laying down one non-zero after the other."""
    rounds: list[int] = []
    for count in nonzeros:
        fits = rounds and rounds[-1] + count <= multipliers
        if count and not fits:
            rounds.append(0)
        for _ in range(count):
            if rounds[-1] == multipliers:
                rounds.append(carried)
            rounds[-1] += 1
        if count > multipliers:
            rounds[-1] = multipliers
    return len(rounds)


rows_of_non_zeros = st.lists(st.integers(0, 40), max_size=20)


@given(nonzeros=rows_of_non_zeros, multipliers=st.integers(4, 16), carried=st.integers(0, 3))
def test_rounds_are_those_of_rows_laid_on_shelves(
    nonzeros: list[int], multipliers: int, carried: int
) -> None:
    rounds = packed_rounds(np.array(nonzeros, int), multipliers=multipliers, carried=carried)
    assert rounds == shelved(nonzeros, multipliers, carried)


@given(nonzeros=rows_of_non_zeros, multipliers=st.integers(4, 16), seed=seeds)
def test_rounds_lie_between_their_bounds(nonzeros: list[int], multipliers: int, seed: int) -> None:
    rows = np.array(nonzeros, int)
    rounds = packed_rounds(rows, multipliers=multipliers)
    assert (
        rows.sum() / multipliers <= rounds <= packed_rounds(rows * 0 + 40, multipliers=multipliers)
    )
    fewer = rows - np.random.default_rng(seed).integers(0, rows + 1)
    assert packed_rounds(fewer, multipliers=multipliers) <= rounds


def test_an_array_holds_more_than_a_psum() -> None:
    with pytest.raises(InputError, match=r"carried = 4: must lie in 0\.\.3"):
        packed_rounds(np.array([1]), multipliers=4, carried=4)


def test_packing_quantises_the_gain() -> None:
    """A third fewer non-zeros may save no round: two rows of 70 do not fit where one of 100 did."""
    assert packed_rounds(np.array([100] * 6), multipliers=128) == 6
    assert packed_rounds(np.array([70] * 6), multipliers=128) == 6
    assert packed_rounds(np.array([64] * 6), multipliers=128) == 3
