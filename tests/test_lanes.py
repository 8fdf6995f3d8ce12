"""Work of lanes that skip zeros, against a slow walk of the nest."""

from collections import Counter
from dataclasses import replace
from itertools import product
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwsim import _lanes
from hwsim.errors import InputError
from hwsim.mapping import Loop, Mapping
from hwsim.reuse import compute_steps
from hwsim.skipping import barrier_cycles, lane_work, random_mask
from hwsim.workload import Layer, Op
from tests import oracle
from tests.strategies import layers, mappings

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
seeds = st.integers(0, 2**32 - 1)
densities = st.sampled_from((0.0, 0.1, 0.4, 0.8, 1.0))
LINEAR = Layer(name="fc", op=Op.LINEAR, K=6, C=4000)
ROWS_APART = Mapping((Loop("C", 20), Loop("K", 1, "X"), Loop("C", 1)))


@st.composite
def nests(draw: st.DrawFn) -> tuple[Layer, Mapping, int]:
    """A small convolution, any mapping of it and any point to wait at."""
    layer = replace(draw(layers(points=200)), op=Op.CONV, operands=1)
    mapping = draw(mappings(layer))
    return layer, mapping, draw(st.integers(0, len(mapping.loops)))


def masks(layer: Layer, *, density: float, seed: int) -> tuple[Mask, Mask]:
    """Non-zeros of ifmap and weight."""
    return (
        random_mask((layer.N, layer.G * layer.C, layer.H, layer.W), density=density, seed=seed),
        random_mask((layer.G * layer.K, layer.C, layer.R, layer.S), density=density, seed=seed + 1),
    )


def works(layer: Layer, point: dict[str, int], ifmap: Mask | None, weight: Mask | None) -> bool:
    """Whether one MAC of a layer meets two non-zeros."""
    n, g, k, c, p, q, r, s = (point[dim] for dim in "NGKCPQRS")
    if weight is not None and not weight[g * layer.K + k, c, r, s]:
        return False
    row = p * layer.stride_h + r * layer.dilation_h - layer.pad_h
    column = q * layer.stride_w + s * layer.dilation_w - layer.pad_w
    inside = 0 <= row < layer.H and 0 <= column < layer.W
    return ifmap is None or (inside and bool(ifmap[n, g * layer.C + c, row, column]))


def walked(
    layer: Layer, mapping: Mapping, sync: int, ifmap: Mask | None, weight: Mask | None
) -> Ints:
    """`lane_work` by the walk of the nest."""
    loops, trips = mapping.loops, mapping.trips(layer)
    found: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
    for moment in oracle.moments(loops, oracle.whole(layer)):
        for place in oracle.instances(layer, loops):
            ranges = oracle.narrow(layer, loops, oracle.added(moment, place))
            for values in product(*ranges.values()):
                if works(layer, dict(zip(ranges, values, strict=True)), ifmap, weight):
                    window = tuple(i for i, loop in zip(moment[:sync], loops, strict=False))
                    found[window, place] += 1
    space = [count if loop.axis else 1 for count, loop in zip(trips, loops, strict=True)]
    time = [1 if loop.axis else count for count, loop in zip(trips[:sync], loops, strict=False)]
    work = np.zeros((int(np.prod(time)), int(np.prod(space))), np.int64)
    for (window, place), count in found.items():
        at = [
            int(np.ravel_multi_index(i, n)) if n else 0 for i, n in ((window, time), (place, space))
        ]
        work[at[0], at[1]] = count
    return work


@settings(deadline=None)
@given(nest=nests(), density=densities, seed=seeds, skips=st.tuples(st.booleans(), st.booleans()))
def test_lanes_work_as_the_walked_nest_says(
    nest: tuple[Layer, Mapping, int], density: float, seed: int, skips: tuple[bool, bool]
) -> None:
    layer, mapping, sync = nest
    ifmap, weight = (
        mask if skip else None
        for mask, skip in zip(masks(layer, density=density, seed=seed), skips, strict=True)
    )
    work = lane_work(layer, mapping, sync=sync, ifmap=ifmap, weight=weight)
    np.testing.assert_array_equal(work, walked(layer, mapping, sync, ifmap, weight))


@settings(deadline=None)
@given(nest=nests(), density=densities, seed=seeds)
def test_skipping_lies_between_its_bounds(
    nest: tuple[Layer, Mapping, int], density: float, seed: int
) -> None:
    layer, mapping, sync = nest
    ifmap, weight = masks(layer, density=density, seed=seed)
    dense = lane_work(layer, mapping, sync=sync)
    assert barrier_cycles(dense) == compute_steps(layer, mapping)
    assert dense.sum() == layer.macs
    work = lane_work(layer, mapping, sync=sync, ifmap=ifmap, weight=weight)
    assert work.sum() / work.shape[1] <= work.sum(axis=0).max() <= barrier_cycles(work)
    assert barrier_cycles(work) <= barrier_cycles(dense)
    never = lane_work(layer, mapping, sync=0, ifmap=ifmap, weight=weight)
    assert barrier_cycles(never) <= barrier_cycles(work)
    fewer = weight & random_mask(weight.shape, density=0.7, seed=seed + 2)
    thinned = lane_work(layer, mapping, sync=sync, ifmap=ifmap, weight=fewer)
    assert barrier_cycles(thinned) <= barrier_cycles(work)


@settings(deadline=None)
@given(nest=nests(), most=st.integers(1, 300), seed=seeds)
def test_windows_counted_a_few_at_a_time_are_the_same(
    nest: tuple[Layer, Mapping, int], most: int, seed: int
) -> None:
    layer, mapping, sync = nest
    ifmap, weight = masks(layer, density=0.5, seed=seed)
    work = lane_work(layer, mapping, sync=sync, ifmap=ifmap, weight=weight)
    with mock.patch.object(_lanes, "MOST_COUNTS", most):
        again = lane_work(layer, mapping, sync=sync, ifmap=ifmap, weight=weight)
    np.testing.assert_array_equal(again, work)


def test_zeros_of_the_padding_are_skipped_with_the_ifmap_s() -> None:
    layer = Layer(name="edge", P=3, Q=4, R=3, S=3, pad_h=1, pad_w=1)
    mapping = Mapping(tuple(Loop(dim, 1) for dim in "PQRS"))
    ones = np.ones((1, 1, 3, 4), bool)
    assert lane_work(layer, mapping, sync=0).sum() == layer.macs == 108
    assert lane_work(layer, mapping, sync=0, ifmap=ones).sum() == (3 * 3 - 2) * (3 * 4 - 2)


def test_a_mask_of_another_size_is_named() -> None:
    with pytest.raises(
        InputError, match="layer 'fc': mask of ifmap, 7 x bool: must be 4000 x bool"
    ):
        lane_work(LINEAR, ROWS_APART, sync=1, ifmap=np.ones(7, bool))
    with pytest.raises(InputError, match="mask of weight, 24000 x int64"):
        lane_work(LINEAR, ROWS_APART, sync=1, weight=np.ones((6, 4000), np.int64))
    with pytest.raises(InputError, match="layer 'pool' multiplies by no weights"):
        lane_work(Layer(name="pool", op=Op.POOL), Mapping(()), sync=0)
