"""What the search says of options, against nests of one dimension or window gone through."""

import random
from math import exp

import numpy as np
import pytest

from hwsim._nest import MOVER, SHARED, TEMPORAL, states, window_words
from hwsim.search.dominance import undominated
from hwsim.search.problem import Numbers, numbers
from hwsim.search.sent import apart, are_disjoint, pair
from hwsim.search.ways import ABOVE, CHUNK, PADS, PLACES, WIDTH, counted, groups, splits_of
from hwsim.workload import DIMS, Layer
from tests import machines

CHANNELS = DIMS.index("K")


def number_of_tiles(bound: int, tile: int) -> int:
    return -(-bound // tile)


def smallest(bound: int, tile: int) -> int:
    """The smallest tile of the same number of tiles."""
    return number_of_tiles(bound, number_of_tiles(bound, tile))


def sized(bound: int, x: int, y: int) -> Numbers:
    array = machines.grid(x, y)
    return numbers(Layer(name="channels", K=bound), machines.machine(machines.dram_level(), array))


@pytest.mark.parametrize("seed", range(6))
def test_no_nest_goes_on_in_fewer_steps_than_an_option_that_stands_for_it(seed: int) -> None:
    draw = random.Random(seed)
    bound, x, y = draw.randint(2, 40), draw.randint(1, 5), draw.randint(1, 4)
    n = sized(bound, x, y)
    for _ in range(25):
        outer = draw.randint(1, bound)
        above = draw.randint(1, outer)
        chunk = draw.randint(max(1, -(-above // (x * y))), above)
        across = min(above, draw.choice([chunk * k for k in range(1, y + 1)] + [above]))
        if number_of_tiles(above, across) > x or number_of_tiles(across, chunk) > y:
            continue
        tile = draw.randint(1, chunk)
        loops = ((outer, True), (above, True), (across, False), (chunk, False), (tile, True))
        steps = states(bound, loops)
        most = number_of_tiles(above, across) * number_of_tiles(across, chunk)
        way = np.ones(WIDTH, np.int64)
        way[PLACES] = max(a * b for a, b in splits_of(n, CHANNELS) if a * b <= most)
        way[ABOVE] = list(n.sizes[CHANNELS]).index(smallest(bound, above))
        way[CHUNK] = smallest(bound, chunk)
        assert groups(n, CHANNELS, way, smallest(bound, tile)) <= steps, (bound, loops)


@pytest.mark.parametrize("seed", range(6))
def test_no_window_brings_fewer_rows_than_placesapart_do(seed: int) -> None:
    draw = random.Random(seed)
    rows, filters, pad = draw.randint(4, 24), draw.randint(1, 5), draw.randint(0, 2)
    stride = draw.randint(1, 3)
    layer = Layer(
        name="window", P=rows, R=filters, stride_h=stride, pad_h=min(pad, filters // 2), Q=3, S=2
    )
    array = machines.grid(*draw.choice([(4, 3), (5, 1)]))
    n = numbers(layer, machines.machine(machines.dram_level(), array))
    for _ in range(25):
        above, taps = draw.randint(1, rows), draw.randint(1, filters)
        chunk, tap = draw.randint(1, above), draw.randint(1, taps)
        across, tile = draw.randint(chunk, above) if n.y > 1 else chunk, draw.randint(1, chunk)
        down = (above, TEMPORAL), (across, SHARED), (chunk, SHARED), (tile, TEMPORAL)
        through = (taps, TEMPORAL), (tap, SHARED), (tap, TEMPORAL)
        steps, pads = (stride, layer.dilation_h), layer.pad_h
        span = (pads, layer.H + pads)
        together, _ = window_words((rows, filters), (down, through), steps, span)
        way = np.ones((2, WIDTH), np.int64)
        way[0, PLACES] = number_of_tiles(above, across) * number_of_tiles(across, chunk)
        way[0, CHUNK], way[0, PADS] = smallest(rows, chunk), smallest(rows, tile)
        way[0, ABOVE] = list(n.sizes[DIMS.index("P")]).index(smallest(rows, above))
        way[1, PLACES] = number_of_tiles(taps, tap)
        way[1, CHUNK] = way[1, PADS] = smallest(filters, tap)
        way[1, ABOVE] = list(n.sizes[DIMS.index("R")]).index(smallest(filters, taps))
        both = pair(n, 0)
        for k, dim in enumerate("PR"):
            own = counted(n, DIMS.index(dim), way[k : k + 1], 1)
            both.way[k], both.steps[k], both.tiles[k] = own.rows[0], own.steps[0], own.tiles[0]
        assert exp(apart(n, 0, both, 0)) <= together * (1 + 1e-9), (layer, down, through)


@pytest.mark.parametrize("seed", range(6))
def test_no_row_is_sent_to_two_places_at_a_time_where_they_are_disjoint(seed: int) -> None:
    draw = random.Random(seed)
    bounds = draw.randint(2, 16), draw.randint(1, 6)
    steps = draw.randint(1, 3), draw.randint(1, 2)
    layer = Layer(name="window", P=bounds[0], R=bounds[1], stride_h=steps[0], dilation_h=steps[1])
    n = numbers(layer, machines.machine(machines.dram_level(), machines.grid(16, 6)))
    seen = 0
    for _ in range(200):
        loops, way = [], np.ones((2, WIDTH), np.int64)
        mover = draw.choice([None, 0, 1])
        for k, bound in enumerate(bounds):
            above = draw.randint(1, bound)
            chunk = draw.choice([above, draw.randint(1, above)])
            tile = draw.randint(1, chunk)
            kind = MOVER if k == mover else TEMPORAL
            loops.append(((above, TEMPORAL), (chunk, SHARED), (tile, kind)))
            way[k, PLACES] = number_of_tiles(above, chunk)
            way[k, CHUNK], way[k, PADS] = smallest(bound, chunk), smallest(bound, tile)
        both = pair(n, 0)
        both.way[:] = way
        if are_disjoint(n, 0, both, 0):
            span = 0, layer.H
            together, summed = window_words(bounds, (loops[0], loops[1]), steps, span)
            assert together == summed, (layer, loops)
            seen += bool((way[:, PLACES] > 1).any())
    assert seen > 10


def test_an_option_is_dropped_only_for_one_of_the_same_places_and_tiles() -> None:
    features = np.array([[1.0, 1.0, 2.0, 0.0, 1.0], [1.0, 2.0, 0.0, 3.0, 1.0]])
    same, places = np.zeros(5, np.int64), np.array([0, 1, 0, 0, 0])
    assert list(undominated(features, same, same)) == [0, 2, 3]
    assert list(undominated(features, places, same)) == [0, 1, 2, 3]


def test_kinds_are_those_of_the_walk() -> None:
    """A mover holds its last tile, so that fewer rows are sent."""
    loops = ((1, MOVER),), ((3, TEMPORAL),)
    assert window_words((8, 3), loops, (1, 1), (0, 10))[0] == 10
