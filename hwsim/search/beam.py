"""Good nests of a structure at once: the sets of options that look best, axis after axis."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hwsim.search.chains import Table
from hwsim.search.dual import Goal, Weights
from hwsim.search.problem import MONOMIALS, TILES, Form, Numbers
from hwsim.search.walk import Walk, _chains, _first_chain, _fits

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Options of an axis that are looked at, and places of each.
MOST_OPTIONS, MOST_PLACES = 400, 8


class Beam(NamedTuple):
    """Sets of options, one a row: their `scores`, numbers of `options` and `splits` by axis, `chains`
    the least cost of each axis' tiles above the array, places `left` along x and y, and sums of
    logarithms of `visits` and `tiles`."""

    scores: Floats
    options: Ints
    splits: Ints
    chains: Floats
    left: Ints
    visits: Floats
    tiles: Floats


@njit(cache=True)
def _empty(width: int) -> Beam:
    return Beam(
        np.zeros(width),
        np.zeros((width, 6), np.int64),
        np.zeros((width, 6, 2), np.int64),
        np.zeros((width, 6)),
        np.zeros((width, 2), np.int64),
        np.zeros((width, MONOMIALS)),
        np.zeros((width, TILES)),
    )


@njit(cache=True)
def dive(
    n: Numbers, f: Form, goal: Goal, t: Table, w: Weights, const: float, s: Walk, width: int
) -> None:
    """Walks through the tiles above the array of the `width` sets of options that look best."""
    beam, count = _empty(width), 1
    beam.scores[0], beam.left[0, 0], beam.left[0, 1] = const, n.x, n.y
    sizes = t.option_starts[1:] - t.option_starts[:-1]
    s.order[:] = np.argsort(-sizes)
    for at in range(6):
        beam, count = _widened(n, f, t, w, s, at, beam, count, width)
    for row in range(count):
        for axis in range(6):
            s.options[axis] = beam.options[row, axis]
            s.splits[axis] = beam.splits[row, axis]
            s.least_chain[axis] = beam.chains[row, axis]
        s.logs[6], s.tiles[6] = beam.visits[row], beam.tiles[row]
        if beam.scores[row] < s.limit[0]:
            _chains(n, f, goal, t, w, s, beam.scores[row])


@njit(cache=True)
def _widened(
    n: Numbers, f: Form, t: Table, w: Weights, s: Walk, at: int, beam: Beam, count: int, width: int
) -> Any:
    """The best sets with one more axis."""
    axis = s.order[at]
    first = t.option_starts[axis]
    rows = min(t.option_starts[axis + 1] - first, MOST_OPTIONS)
    scores = np.full(count * rows * MOST_PLACES, np.inf)
    chains = np.empty(rows)
    for option in range(rows):
        chains[option] = _first_chain(t, axis, first + option)
    for row in range(count):
        s.logs[at], s.tiles[at] = beam.visits[row], beam.tiles[row]
        for option in range(rows):
            r = first + option
            if beam.scores[row] + t.full[r] >= s.limit[0] - _rest(t, s, at):
                break
            if not _fits(n, f, t, s, at, r):
                continue
            for k in range(min(t.place_counts[r], MOST_PLACES)):
                a, b = t.places[r, k]
                if a <= beam.left[row, 0] and b <= beam.left[row, 1]:
                    price = w.places[0] * np.log(a) + w.places[1] * np.log(b)
                    found = beam.scores[row] + t.scores[r] + price + chains[option]
                    scores[(row * rows + option) * MOST_PLACES + k] = found
    best = np.argsort(scores)[:width]
    wider, kept = _empty(width), 0
    for code in best:
        if scores[code] >= s.limit[0] - _rest(t, s, at):
            break
        row, option, k = code // MOST_PLACES // rows, code // MOST_PLACES % rows, code % MOST_PLACES
        r = first + option
        a, b = t.places[r, k]
        s.logs[at], s.tiles[at] = beam.visits[row], beam.tiles[row]
        _fits(n, f, t, s, at, r)
        wider.visits[kept], wider.tiles[kept] = s.logs[at + 1], s.tiles[at + 1]
        wider.scores[kept] = scores[code]
        wider.options[kept], wider.splits[kept] = beam.options[row], beam.splits[row]
        wider.chains[kept] = beam.chains[row]
        wider.options[kept, axis], wider.chains[kept, axis] = r, chains[option]
        wider.splits[kept, axis, 0], wider.splits[kept, axis, 1] = a, b
        wider.left[kept, 0], wider.left[kept, 1] = beam.left[row, 0] // a, beam.left[row, 1] // b
        kept += 1
    return wider, kept


@njit(cache=True)
def _rest(t: Table, s: Walk, at: int) -> Any:
    """The least scores of the axes still to come."""
    found = 0.0
    for later in range(at + 1, 6):
        found += t.least[s.order[later]]
    return found
