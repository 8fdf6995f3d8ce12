"""What an axis may do from the array inwards: its places on the array, and tiles within a PE."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dominance import undominated
from hwsim.search.extents import tile_share
from hwsim.search.leads import lead
from hwsim.search.problem import (
    INNER,
    LEADS,
    MACS,
    MONOMIALS,
    OUTER,
    RISEN,
    STEPS,
    SUMMED,
    TOGETHER,
    Form,
    Numbers,
)
from hwsim.search.sent import Pair, enter, mac_words, pad_visits, pair, risen_places
from hwsim.search.tables import spreads
from hwsim.search.ways import ABOVE, CHUNK, ONES, PADS, PLACES, WIDTH, dimension_ways

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Features of an option, as logarithms: its share in the monomials from the array inwards, and in
# the tiles of the pads.
SHARES = MONOMIALS - OUTER
FEATURES = SHARES + INNER + 1


class Options(NamedTuple):
    """What an axis may do from the array inwards.

    `features` [used column, option], logarithms; `columns` [used] which features they are, others
    being 0 for all; `ways` [option, 2, WIDTH] what its dimensions do; `spread` [option] the number
    of its places among those of the axis; `key` [option] its tiles above the array, of numbers i
    and j, as i * wide + j.
    """

    features: Floats
    columns: Ints
    ways: Ints
    spread: Ints
    key: Ints


@compiled()
def axis_options(n: Numbers, f: Form, axis: int) -> Options:
    """Every option of an axis whose tiles may fit the pads, but those that another one beats."""
    one, other = dimension_ways(n, f, n.first[axis]), dimension_ways(n, f, n.second[axis])
    most = one.rows.shape[0] * other.rows.shape[0]
    columns = _columns(f)
    features, ways = np.zeros((columns.size, most)), np.ones((most, 2, WIDTH), np.int64)
    spread, key = np.zeros(most, np.int64), np.zeros(most, np.int64)
    rank, numbers, _, _ = spreads(n, axis)
    count, out, both = 0, np.zeros(FEATURES), pair(n, axis)
    for i in range(one.rows.shape[0]):
        enter(one, i, 0, both)
        for j in range(other.rows.shape[0]):
            spread[count] = numbers[rank[0, one.rows[i, PLACES]], rank[1, other.rows[j, PLACES]]]
            if spread[count] < 0:
                continue
            enter(other, j, 1, both)
            out[:] = 0.0
            if _describe(n, f, axis, both, out):
                key[count] = one.rows[i, ABOVE] * n.wide + other.rows[j, ABOVE]
                _enter(both, out, columns, ways[count], features, count)
                count += 1
    kept, columns = _used(features, columns, count)
    if not count:
        return Options(kept, columns, ways[:0].copy(), spread[:0].copy(), key[:0].copy())
    picks = undominated(kept, spread[:count], key[:count])
    return Options(kept[:, picks].copy(), columns, ways[picks], spread[picks], key[picks])


@compiled()
def _columns(f: Form) -> Ints:
    """The features that options of a structure may have."""
    found = np.zeros(FEATURES, np.bool_)
    for j in range(f.inner_tensors.size):
        found[TOGETHER - OUTER + j] = found[SUMMED - OUTER + j] = found[SHARES + j] = True
    found[RISEN - OUTER] = found[SHARES + INNER] = f.risen >= 0
    found[MACS - OUTER : MACS - OUTER + 3] = f.macs
    found[LEADS - OUTER : LEADS - OUTER + 3] = f.leads >= 0
    found[STEPS - OUTER] = True
    return np.nonzero(found)[0]


@compiled()
def _used(features: Floats, columns: Ints, count: int) -> Any:
    """Those of the columns that are not 0 for all of the first so many options, and which they
    are."""
    used = np.zeros(columns.size, np.bool_)
    for k in range(columns.size):
        used[k] = np.any(features[k, :count] != 0.0)
    picks = np.nonzero(used)[0]
    kept = np.empty((picks.size, count))
    for k in range(picks.size):
        kept[k] = features[picks[k], :count]
    return kept, columns[picks]


@compiled(inline=True)
def _enter(
    both: Pair, out: Floats, columns: Ints, ways: Ints, features: Floats, count: int
) -> None:
    """Writes down an option and its features."""
    for column in range(WIDTH):
        ways[0, column], ways[1, column] = both.way[0, column], both.way[1, column]
    for c in range(columns.size):
        features[c, count] = out[columns[c]]


@compiled(inline=True)
def _describe(n: Numbers, f: Form, axis: int, o: Pair, out: Floats) -> bool:
    """Fills in an option's features; whether its tiles fit."""
    pads = f.inner_tensors.size
    for j in range(pads):
        tile = tile_share(n, f.inner_tensors[j], axis, o.way[0, PADS + j], o.way[1, PADS + j])
        if tile * f.bits[OUTER + j] > n.room[f.memory[OUTER + j]]:
            return False
        out[SHARES + j] = n.logs[tile]
    for j in range(pads):
        t = f.inner_tensors[j]
        together, summed = pad_visits(n, f, t, axis, o, j)
        out[TOGETHER - OUTER + j] = together if n.shared[t] else summed
        out[SUMMED - OUTER + j] = summed
    if f.risen >= 0:
        t = f.tensors[f.risen]
        out[RISEN - OUTER] = risen_places(n, f, t, axis, o)
        tile = tile_share(n, t, axis, o.way[0, CHUNK], o.way[1, CHUNK])
        if tile * f.bits[OUTER + INNER] > n.room[f.memory[OUTER + INNER]]:
            return False
        out[SHARES + INNER] = n.logs[tile]
    for t in range(3):
        if f.macs[t]:
            out[MACS - OUTER + t] = mac_words(n, t, axis, o)
        if f.leads[t] >= 0:
            out[LEADS - OUTER + t] = lead(n, f, t, axis, o)
    for k in range(2):
        out[STEPS - OUTER] += _steps(n, n.first[axis] if k == 0 else n.second[axis], o, k)
    return True


@compiled(inline=True)
def _steps(n: Numbers, d: int, o: Pair, k: int) -> Any:
    """The logarithm of a dimension's share in the steps of each place."""
    if not n.skips:
        return n.logs[o.steps[k, ONES]]
    return max(n.logs[n.bounds[d]] - n.logs[o.way[k, PLACES]], 0.0) if d >= 0 else 0.0
