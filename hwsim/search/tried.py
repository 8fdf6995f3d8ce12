"""Weights that sets were bounded at, each of which bounds all other sets as well.

At given weights a set's bound is a sum over the axes of the least that an axis costs with its
class. That is known for all classes after one round through all options; so what it took rounds to
find for one set rules others out by six additions each.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent
from hwsim.search.outer import BIG, Scratch
from hwsim.search.pool import Pool
from hwsim.search.problem import MONOMIALS, TILES, Form, Numbers
from hwsim.search.scores import Picks, price_all
from hwsim.search.sets import least_scores
from hwsim.search.tables import Tables

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Weights that are kept, the latest.
KEPT = 64


class Tried(NamedTuple):
    """So many weights, `total` [1]: `theta` [tried, MONOMIALS], `tiles` [tried, TILES], `places`
    [tried, 2], `busy` [tried, resource]; at each the constant part of the bound, `const` [tried],
    and the least that an axis costs with a class, `least` [tried, class]."""

    total: Ints
    theta: Floats
    tiles: Floats
    places: Floats
    busy: Floats
    const: Floats
    least: Floats


def none_tried(resources: int, classes: int) -> Tried:
    """Room for weights."""
    return Tried(
        np.zeros(1, np.int64),
        np.zeros((KEPT, MONOMIALS)),
        np.zeros((KEPT, TILES)),
        np.zeros((KEPT, 2)),
        np.zeros((KEPT, resources)),
        np.zeros(KEPT),
        np.zeros((KEPT, classes)),
    )


@compiled(allocates=False)
def highest(x: Tried, classes: Ints) -> Any:
    """(the highest bound of a set of classes, at which of the weights)."""
    top, best = -BIG, -1
    for k in range(min(x.total[0], KEPT)):
        found = x.const[k]
        for axis in range(6):
            found += x.least[k, classes[axis]]
        if found > top:
            top, best = found, k
    return top, best


@compiled()
def begin_at(x: Tried, k: int, a: Ascent) -> None:
    """Puts an ascent where weights were."""
    a.weights.theta[:], a.weights.tiles[:] = x.theta[k], x.tiles[k]
    a.weights.places[:], a.weights.busy[:] = x.places[k], x.busy[k]
    a.const[0] = x.const[k]


@compiled()
def remember(
    n: Numbers,
    f: Form,
    t: Tables,
    p: Pool,
    store: int,
    starts: Ints,
    a: Ascent,
    s: Scratch,
    picks: Picks,
    x: Tried,
) -> None:
    """Keeps the weights of an ascent, in the place of the oldest, with what all options of `p` come
    to at them."""
    k = x.total[0] % KEPT
    x.total[0] += 1
    x.theta[k], x.tiles[k], x.busy[k] = a.weights.theta, a.weights.tiles, a.weights.busy
    x.places[k], x.const[k] = a.weights.places, a.const[0]
    price_all(n, f, t, p, a.weights, s, picks)
    least_scores(n, f, t, p, store, starts, a.weights, s, x.least[k])
