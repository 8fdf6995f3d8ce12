"""Sets of places, and of tiles, that the search goes through, against all of them tried."""

from collections.abc import Iterator
from copy import deepcopy
from itertools import product
from math import inf, log

import numpy as np
import pytest

from hwsim.hardware import Accelerator
from hwsim.search.jobs import jobs
from hwsim.search.packed import Packed, packed
from hwsim.search.packing import packings
from hwsim.search.parts import Part, Room, room, whole
from hwsim.search.pool import Subset
from hwsim.search.problem import Ints, numbers
from hwsim.search.scores import score_all
from hwsim.search.sets import Sets
from hwsim.search.tables import tile_counts
from hwsim.workload import Layer
from tests import machines

pytestmark = pytest.mark.slow

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
    rows = zip(sets.classes, sets.bounds, strict=True)
    return {tuple(map(int, classes)): float(bound) for classes, bound in rows}


def by_hand(part: Part, place: Room, spreads: Ints, splits: Ints) -> Part:
    """The part of a part that has such places."""
    pool = part.pool(place)
    own = zip(pool.begin, pool.end, spreads, strict=True)
    rows = tuple(pool.number[a:b][pool.spread[a:b] == at] for a, b, at in own)
    start = deepcopy(part.ascent)
    start.const[0] += start.weights.places @ np.log((4, 3))
    start.weights.places[:] = 0.0
    return Part(part.job, Subset(rows, part.held.barred, splits), start)


def below(part: Part, place: Room, store: int, limit: float) -> Iterator[tuple[Ints, Part]]:
    """Every way to choose a tile of each axis at a store whose bound is below a limit."""
    n, t, weights = place.numbers, place.tables, part.ascent.weights
    tiles = [[i * n.wide + j for i, j in np.ndindex(*tile_counts(n, axis))] for axis in range(6)]
    for choice in product(*tiles):
        held = part.held._replace(barred=part.held.barred.copy())
        for axis, key in enumerate(choice):
            own = held.barred[axis, store]
            kept = own.ravel()[key]
            own[:] = True
            own.ravel()[key] = kept
        alone = Part(part.job, held, deepcopy(part.ascent))
        pool = alone.pool(place)
        least = score_all(n, part.job.form, t, pool, weights, place.scratch)
        if part.ascent.const[0] + least < limit:
            alone.least = float(part.ascent.const[0] + least)
            yield np.array(choice) + t.counts[0].size * np.arange(6), alone


def parted(layer: Layer) -> Iterator[tuple[Part, Room, Packed, float]]:
    """Parts, their own parts by places, and the limit above their bounds that these are below."""
    for part, place in raised(layer):
        limit = part.least + FAR
        found = packed(part, place, limit)
        assert found is not None
        yield part, place, found, limit


def placed(layer: Layer) -> Iterator[tuple[Part, Room, float]]:
    """Parts whose places are chosen and whose tiles waver, each with a limit above its bound."""
    for _, place, found, limit in parted(layer):
        for _, one in popped(found, place, limit):
            if any(one.wavering()):
                yield one, place, limit


def popped(parts: Packed, place: Room, limit: float) -> Iterator[tuple[int, Part]]:
    """The parts whose bounds stay below a limit, by the numbers of their sets."""
    while parts.least < limit:
        one, _ = parts.pop(place, limit, 10)
        if one:
            yield parts.at - 1, one


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_all_sets_of_places_below_a_limit_are_listed_with_their_bounds(layer: Layer) -> None:
    for part, place, found, limit in parted(layer):
        weights = part.ascent.weights
        const = float(part.ascent.const[0] + weights.places @ np.log((4, 3)))
        expected = {}
        for choice in product(*(least.items() for least in by_places(part, place))):
            bound = const + sum(score for _, score in choice)
            spreads = tuple(at for at, _ in choice)
            if bound < limit and fitting(place, spreads):
                expected[spreads] = bound
        assert listed(found.sets) == pytest.approx(expected)
        assert list(found.sets.bounds) == sorted(found.sets.bounds)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_each_part_has_places_that_fit_and_a_bound_above_its_sets(layer: Layer) -> None:
    for part, place, found, limit in parted(layer):
        bounds = found.sets.bounds.copy()
        for at, one in popped(found, place, limit):
            x, y = 1, 1
            for axis, own in enumerate(part.job.options):
                spread = int(found.sets.classes[at, axis])
                first = place.tables.starts[axis]
                assert all(first + own.spread[one.held.rows[axis]] == spread)
                a, b = place.tables.splits[spread, one.held.splits[axis]]
                x, y = x * int(a), y * int(b)
            assert x <= 4
            assert y <= 3
            assert bounds[at] <= one.least < limit


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_sets_that_are_ruled_out_have_no_nest_below_the_limit(layer: Layer) -> None:
    for part, place, found, limit in parted(layer):
        kept = {at for at, _ in popped(found, place, limit)}
        for at in set(range(found.at)) - kept:
            sets = found.sets
            alone = by_hand(part, place, sets.classes[at], sets.splits[at])
            alone.raise_bound(place, limit, 100)
            _, done = alone.close(place, limit, 10_000)
            assert not done or alone.least >= limit - 1e-9


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_sets_of_tiles_that_are_not_gone_on_with_have_no_nest_below_the_limit(layer: Layer) -> None:
    seen = 0
    for part, place, limit in placed(layer):
        found = packed(part, place, limit)
        assert found is not None
        bounds = listed(found.sets)
        kept = {tuple(found.sets.classes[at]) for at, _ in popped(found, place, limit)}
        for choice, alone in below(part, place, found.sets.store, limit):
            seen += 1
            known = bounds.get(tuple(map(int, choice)))
            assert known is None or known == pytest.approx(alone.least)
            if tuple(choice) not in kept:
                _, done = alone.close(place, limit, 10_000)
                assert done
                assert alone.least >= limit - 1e-9
    assert seen > 10


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_tiles_of_one_axis_part_the_rest_whole(layer: Layer) -> None:
    for part, place, limit in placed(layer):
        (_, _), (store, axes) = part.wavering()
        room_ = place.numbers, part.job.form, place.tables, part.pool(place)
        sets = packings(*room_, part.ascent, place.scratch, store, axes, limit)
        assert sets is not None
        axis = int(np.argmax(axes))
        expected: dict[int, float] = {}
        for choice, alone in below(part, place, store, limit):
            key = int(choice[axis]) - axis * place.tables.counts[0].size
            expected[key] = min(expected.get(key, inf), alone.least)
        keys = sets.classes[:, axis] - sets.starts[axis]
        found = dict(zip(map(int, keys), map(float, sets.bounds), strict=True))
        assert found == pytest.approx({key: expected[key] for key in found})


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
