"""Sets of places that the search goes through one by one, against all of them tried."""

from collections.abc import Iterator
from copy import deepcopy
from itertools import product
from math import inf, log

import numpy as np
import pytest

from hwsim.hardware import Accelerator
from hwsim.search.jobs import jobs
from hwsim.search.packed import Packed, packed
from hwsim.search.parts import Part, Room, room, whole
from hwsim.search.pool import Subset
from hwsim.search.problem import Ints, numbers
from hwsim.search.scores import score_all
from hwsim.search.sift import Sets
from hwsim.workload import Layer
from tests import machines

MACHINE = machines.machine()  # DRAM, buffer, 4 x 3 PEs and pads
LAYERS = (
    Layer(name="linear", K=10, C=6, N=3),
    Layer(name="window", K=4, C=3, P=5, R=3, H=7),
)
FAR = 0.3


def raised(layer: Layer, machine: Accelerator = MACHINE) -> Iterator[tuple[Part, Room]]:
    """Every seventh structure, its bound raised."""
    found = list(jobs(layer, machine, "edp"))
    place = room(numbers(layer, machine), (job.options for job in found))
    for job in found[::7]:
        part = whole(place, job)
        part.raise_bound(place, 600.0, 10)
        yield part, place


def by_places(part: Part, place: Room) -> list[dict[int, float]]:
    """The least score of each axis by the number of its places, which cost nothing."""
    weights, pool = part.ascent.weights._replace(places=np.zeros(2)), part.pool(place)
    score_all(place.numbers, part.job.form, place.tables, pool, weights, place.scratch)
    found = []
    for a, b in zip(pool.begin, pool.end, strict=True):
        least: dict[int, float] = {}
        for at, score in zip(pool.spread[a:b], place.scratch.scores[a:b], strict=True):
            least[int(at)] = min(least.get(int(at), inf), float(score))
        found.append(least)
    return found


def fitting(place: Room, spreads: tuple[int, ...]) -> bool:
    """Whether some way to split all places fits the array of 4 x 3."""
    sums = {(1, 1)}
    for at in spreads:
        ways = place.tables.splits[at, : place.tables.split_counts[at]]
        sums = {(x * a, y * b) for x, y in sums for a, b in ways if x * a <= 4 and y * b <= 3}
    return bool(sums)


def listed(sets: Sets) -> dict[tuple[int, ...], float]:
    rows = zip(sets.spreads, sets.bounds, strict=True)
    return {tuple(map(int, spreads)): float(bound) for spreads, bound in rows}


def by_hand(part: Part, place: Room, spreads: Ints, splits: Ints) -> Part:
    """The part of a part that has such places."""
    pool = part.pool(place)
    own = zip(pool.begin, pool.end, spreads, strict=True)
    rows = tuple(pool.number[a:b][pool.spread[a:b] == at] for a, b, at in own)
    start = deepcopy(part.ascent)
    start.const[0] += start.weights.places @ np.log((4, 3))
    start.weights.places[:] = 0.0
    return Part(part.job, Subset(rows, part.held.barred, splits), start)


def popped(parts: Packed, place: Room, limit: float) -> Iterator[tuple[int, Part]]:
    """The parts whose bounds stay below a limit, by the numbers of their sets."""
    while parts.least < limit:
        one, _ = parts.pop(place, limit, 10)
        if one:
            yield parts.at - 1, one


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_all_sets_of_places_below_a_limit_are_listed_with_their_bounds(layer: Layer) -> None:
    for part, place in raised(layer):
        limit, weights = part.least + FAR, part.ascent.weights
        const = float(part.ascent.const[0] + weights.places @ np.log((4, 3)))
        expected = {}
        for choice in product(*(least.items() for least in by_places(part, place))):
            bound = const + sum(score for _, score in choice)
            spreads = tuple(at for at, _ in choice)
            if bound < limit and fitting(place, spreads):
                expected[spreads] = bound
        found = packed(part, place, limit)
        assert found is not None
        assert listed(found.sets) == pytest.approx(expected)
        assert list(found.sets.bounds) == sorted(found.sets.bounds)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_each_part_has_places_that_fit_and_a_bound_above_its_sets(layer: Layer) -> None:
    for part, place in raised(layer):
        limit = part.least + FAR
        found = packed(part, place, limit)
        assert found is not None
        bounds = found.sets.bounds.copy()
        for at, one in popped(found, place, limit):
            x, y = 1, 1
            for axis, own in enumerate(part.job.options):
                spread = int(found.sets.spreads[at, axis])
                first = place.tables.starts[axis]
                assert all(first + own.spread[one.held.rows[axis]] == spread)
                a, b = place.tables.splits[spread, one.held.splits[axis]]
                x, y = x * int(a), y * int(b)
            assert x <= 4
            assert y <= 3
            assert bounds[at] <= one.least < limit


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_sets_that_are_ruled_out_have_no_nest_below_the_limit(layer: Layer) -> None:
    for part, place in raised(layer):
        limit = part.least + FAR
        found = packed(part, place, limit)
        assert found is not None
        kept = {at for at, _ in popped(found, place, limit)}
        for at in set(range(found.at)) - kept:
            sets = found.sets
            alone = by_hand(part, place, sets.spreads[at], sets.splits[at])
            alone.raise_bound(place, limit, 100)
            _, done = alone.close(place, limit, 10_000)
            assert not done or alone.least >= limit - 1e-9


def test_a_machine_with_one_place_has_one_set() -> None:
    machine = machines.machine(machines.dram_level(), machines.glb_level())
    part, place = next(raised(LAYERS[0], machine))
    found = packed(part, place, part.least + log(2))
    assert found is not None
    assert found.sets.bounds.size == 1


def test_more_sets_than_are_listed_are_none_at_all() -> None:
    layer = Layer(name="deep", N=12, G=12, K=12, C=12, P=12, Q=12)
    machine = machines.machine(
        machines.dram_level(), machines.glb_level(), machines.grid(16, 16), machines.spad_level()
    )
    part, place = next(raised(layer, machine))
    assert packed(part, place, 600.0) is None
