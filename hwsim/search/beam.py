"""Good nests of a structure at once: the sets of options that look best, axis after axis."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hwsim.search.chains import Table
from hwsim.search.dual import Goal
from hwsim.search.problem import MONOMIALS, TILES, Form, Numbers
from hwsim.search.scores import Weights
from hwsim.search.walk import Walk, chains_of, first_chain, fits

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Options of an axis that are looked at, and places of each.
MOST_OPTIONS, MOST_PLACES = 400, 8


class Beam(NamedTuple):
    """Sets of options, one a row.

    `scores`; by axis numbers of `options`, `splits` along x and y, and `chains`, the least cost of
    tiles above the array; places `left` along x and y; sums of logarithms of `visits` and `tiles`.
    """

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
        scores = _scores(n, f, t, w, s, at, beam, count)
        beam, count = _widened(n, f, t, s, at, beam, scores, width)
    for row in range(count):
        s.options[:], s.least_chain[:] = beam.options[row], beam.chains[row]
        s.splits[:] = beam.splits[row]
        s.logs[6], s.tiles[6] = beam.visits[row], beam.tiles[row]
        if beam.scores[row] < s.limit[0]:
            chains_of(n, f, goal, t, s, beam.scores[row])


@njit(cache=True)
def _scores(
    n: Numbers, f: Form, t: Table, w: Weights, s: Walk, at: int, beam: Beam, count: int
) -> Floats:
    """Scores [set, option, places] with one more axis, inf where it does not fit or is too high."""
    axis, most = s.order[at], s.limit[0] - _rest(t, s, at)
    first = t.option_starts[axis]
    options = min(t.option_starts[axis + 1] - first, MOST_OPTIONS)
    found = np.full((count, options, MOST_PLACES), np.inf)
    for row in range(count):
        s.logs[at], s.tiles[at] = beam.visits[row], beam.tiles[row]
        for option in range(options):
            r = first + option
            if beam.scores[row] + t.full[r] >= most:
                break
            if not fits(n, f, t, s, at, r):
                continue
            chain = first_chain(t, axis, r)
            for k in range(min(t.place_counts[r], MOST_PLACES)):
                a, b = t.places[r, k]
                if a <= beam.left[row, 0] and b <= beam.left[row, 1]:
                    price = w.places[0] * np.log(a) + w.places[1] * np.log(b)
                    found[row, option, k] = beam.scores[row] + t.scores[r] + price + chain
    return found


@njit(cache=True)
def _widened(
    n: Numbers, f: Form, t: Table, s: Walk, at: int, beam: Beam, scores: Floats, width: int
) -> Any:
    """The best sets with one more axis, and how many there are."""
    axis, most = s.order[at], s.limit[0] - _rest(t, s, at)
    options, flat = scores.shape[1], scores.ravel()
    wider, kept = _empty(width), 0
    for code in np.argsort(flat, kind="mergesort")[:width]:
        if flat[code] >= most:
            break
        row, option, k = code // MOST_PLACES // options, code // MOST_PLACES, code % MOST_PLACES
        r = t.option_starts[axis] + option % options
        a, b = t.places[r, k]
        s.logs[at], s.tiles[at] = beam.visits[row], beam.tiles[row]
        fits(n, f, t, s, at, r)
        wider.visits[kept], wider.tiles[kept] = s.logs[at + 1], s.tiles[at + 1]
        wider.scores[kept], wider.chains[kept] = flat[code], beam.chains[row]
        wider.options[kept], wider.splits[kept] = beam.options[row], beam.splits[row]
        wider.options[kept, axis], wider.chains[kept, axis] = r, first_chain(t, axis, r)
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
