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
from hwsim.search.ways import ABOVE, CHUNK, ONES, PADS, PLACES, WIDTH, dimension_ways, splits_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Features of an option, as logarithms: its share in the monomials from the array inwards, and in
# the tiles of the pads.
SHARES = MONOMIALS - OUTER
FEATURES = SHARES + INNER + 1
# Ways to split the same places between x and y, at most.
SPLITS = 32


class Options(NamedTuple):
    """What an axis may do from the array inwards, and which tiles it may not have above.

    `features` [used column, option], logarithms; `columns` [used] which features they are, others
    being 0 for all; `number` [option] its row in `ways` [row, 2, WIDTH], what its dimensions do;
    `spread` [option] the number of its places in `splits` [spread, SPLITS, 2], (x, y) that make
    them, of which `split_counts`; `ends` [spread, 2, 2] logarithms of those that are longest along
    y and along x, numbers `end_splits` [spread, 2]; `key` [option] the number of its tiles above
    the array, of both dimensions, in `keys` [key, 2]. `barred` [store, tile, tile]: tiles left out.
    """

    features: Floats
    columns: Ints
    number: Ints
    ways: Ints
    spread: Ints
    splits: Ints
    split_counts: Ints
    ends: Floats
    end_splits: Ints
    key: Ints
    keys: Ints
    barred: Flags


@compiled()
def axis_options(n: Numbers, f: Form, axis: int) -> Options:
    """Every option of an axis whose tiles may fit the pads, but those that another one beats."""
    d, e = n.first[axis], n.second[axis]
    one, other = dimension_ways(n, f, d), dimension_ways(n, f, e)
    most = one.rows.shape[0] * other.rows.shape[0]
    columns = _columns(f)
    features, ways = np.zeros((columns.size, most)), np.ones((most, 2, WIDTH), np.int64)
    spread, key = np.zeros(most, np.int64), np.zeros(most, np.int64)
    spread_of = np.full((n.x * n.y + 1, n.x * n.y + 1), -1, np.int64)
    splits, split_counts = _pairs_of_splits(n, d, e, spread_of)
    most0, most1 = n.counts[d], n.counts[e] if e >= 0 else 1
    count, out, both = 0, np.zeros(FEATURES), pair(n, axis)
    for i in range(one.rows.shape[0]):
        enter(one, i, 0, both)
        for j in range(other.rows.shape[0]):
            spread[count] = spread_of[one.rows[i, PLACES], other.rows[j, PLACES]]
            if spread[count] < 0:
                continue
            enter(other, j, 1, both)
            out[:] = 0.0
            if _describe(n, f, axis, both, out):
                key[count] = one.rows[i, ABOVE] * most1 + other.rows[j, ABOVE]
                _enter(both, out, columns, ways[count], features, count)
                count += 1
    kept, columns = _used(features, columns, count)
    keys = _listed(key[:count], most0, most1)
    if count:
        picks = undominated(kept, spread[:count], key[:count])
        kept, count = kept[:, picks].copy(), picks.size
        ways[:count], spread[:count], key[:count] = ways[picks], spread[picks], key[picks]
    ends, end_splits = _ends(splits, split_counts)
    return Options(
        kept,
        columns,
        np.arange(count),
        ways[:count].copy(),
        spread[:count].copy(),
        splits,
        split_counts,
        ends,
        end_splits,
        key[:count].copy(),
        keys,
        np.zeros((OUTER, most0, most1), np.bool_),
    )


@compiled()
def _ends(splits: Ints, counts: Ints) -> Any:
    """Logarithms of the splits that are longest along y and along x [spread, 2, 2], and their
    numbers [spread, 2]: at any prices one of both is the cheapest."""
    logs, numbers = np.zeros((counts.size, 2, 2)), np.zeros((counts.size, 2), np.int64)
    for at in range(counts.size):
        for k in range(counts[at]):
            if splits[at, k, 0] < splits[at, numbers[at, 0], 0]:
                numbers[at, 0] = k
            if splits[at, k, 0] > splits[at, numbers[at, 1], 0]:
                numbers[at, 1] = k
        for end in range(2):
            logs[at, end] = np.log(splits[at, numbers[at, end]])
    return logs, numbers


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


@compiled()
def _listed(key: Ints, most0: int, most1: int) -> Any:
    """The keys [key, 2] in the order in which they come, numbers of whose tiles are i * most1 + j;
    these are replaced by the keys' own numbers."""
    number, keys, count = np.full(most0 * most1, -1), np.zeros((most0 * most1, 2), np.int64), 0
    for at in range(key.size):
        tiles = key[at]
        if number[tiles] < 0:
            number[tiles], keys[count, 0], keys[count, 1] = count, tiles // most1, tiles % most1
            count += 1
        key[at] = number[tiles]
    return keys[:count].copy()


@compiled()
def _pairs_of_splits(n: Numbers, d: int, e: int, spread_of: Ints) -> Any:
    """Places of both dimensions along x and y, by their numbers; fills in the number of each."""
    one, other = splits_of(n, d), splits_of(n, e)
    found = np.zeros((one.shape[0] * other.shape[0], SPLITS, 2), np.int64)
    counts = np.zeros(one.shape[0] * other.shape[0], np.int64)
    total = 0
    for i in range(one.shape[0]):
        for j in range(other.shape[0]):
            x, y = one[i, 0] * other[j, 0], one[i, 1] * other[j, 1]
            if x > n.x or y > n.y:
                continue
            a, b = one[i, 0] * one[i, 1], other[j, 0] * other[j, 1]
            if spread_of[a, b] < 0:
                spread_of[a, b] = total
                total += 1
            at = spread_of[a, b]
            known = False
            for k in range(counts[at]):
                known |= found[at, k, 0] == x and found[at, k, 1] == y
            if not known and counts[at] < SPLITS:
                found[at, counts[at], 0], found[at, counts[at], 1] = x, y
                counts[at] += 1
    return found[:total].copy(), counts[:total].copy()


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
    out[STEPS - OUTER] = n.logs[o.steps[0, ONES]] + n.logs[o.steps[1, ONES]]
    return True
