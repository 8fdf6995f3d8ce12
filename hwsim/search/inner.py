"""What an axis may do from the array inwards: its places on the array, and tiles within a PE."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dominance import undominated
from hwsim.search.extents import groups, tile_share
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
from hwsim.search.sent import mac_words, pad_visits, risen_places
from hwsim.search.ways import ABOVE, CHUNK, PADS, PLACES, WIDTH, dimension_ways, splits_of

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
    most = one.shape[0] * other.shape[0]
    features, ways = np.zeros((FEATURES, most)), np.ones((most, 2, WIDTH), np.int64)
    spread, key = np.zeros(most, np.int64), np.zeros(most, np.int64)
    spread_of = np.full((n.x * n.y + 1, n.x * n.y + 1), -1, np.int64)
    splits, split_counts = _pairs_of_splits(n, d, e, spread_of)
    key_of = {(0, 0): 0}
    count, out = 0, np.zeros(FEATURES)
    for i in range(one.shape[0]):
        for j in range(other.shape[0]):
            ways[count, 0], ways[count, 1] = one[i], other[j]
            spread[count] = spread_of[one[i, PLACES], other[j, PLACES]]
            out[:] = 0.0
            if spread[count] < 0 or not _describe(n, f, axis, ways[count], out):
                continue
            tiles = one[i, ABOVE], other[j, ABOVE]
            key[count] = key_of.setdefault(tiles, len(key_of))
            features[:, count] = out
            count += 1
    kept, columns = _used(features, count)
    if count:
        picks = undominated(kept, spread[:count], key[:count])
        kept, count = kept[:, picks].copy(), picks.size
        ways[:count], spread[:count], key[:count] = ways[picks], spread[picks], key[picks]
    ends, end_splits = _ends(splits, split_counts)
    most0, most1 = n.counts[d], n.counts[e] if e >= 0 else 1
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
        _listed(key_of),
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
def _used(features: Floats, count: int) -> Any:
    """The features that are not 0 for all of the first so many options, and which they are."""
    used = np.zeros(FEATURES, np.bool_)
    for k in range(FEATURES):
        used[k] = np.any(features[k, :count] != 0.0)
    columns = np.nonzero(used)[0]
    kept = np.empty((columns.size, count))
    for k in range(columns.size):
        kept[k] = features[columns[k], :count]
    return kept, columns


@compiled()
def _listed(key_of: dict[tuple[int, int], int]) -> Any:
    """The keys by their numbers [key, 2]."""
    keys = np.zeros((len(key_of), 2), np.int64)
    for name, at in key_of.items():
        keys[at, 0], keys[at, 1] = name
    return keys


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
def _describe(n: Numbers, f: Form, axis: int, way: Ints, out: Floats) -> bool:
    """Fills in an option's features; whether its tiles fit."""
    pads = f.inner_tensors.size
    for j in range(pads):
        tile = tile_share(n, f.inner_tensors[j], axis, way[0, PADS + j], way[1, PADS + j])
        if tile * f.bits[OUTER + j] > n.room[f.memory[OUTER + j]]:
            return False
        out[SHARES + j] = n.logs[tile]
    for j in range(pads):
        t = f.inner_tensors[j]
        together, summed = pad_visits(n, f, t, axis, way, j)
        out[TOGETHER - OUTER + j] = together if n.shared[t] else summed
        out[SUMMED - OUTER + j] = summed
    if f.risen >= 0:
        t = f.tensors[f.risen]
        out[RISEN - OUTER] = risen_places(n, f, t, axis, way)
        tile = tile_share(n, t, axis, way[0, CHUNK], way[1, CHUNK])
        if tile * f.bits[OUTER + INNER] > n.room[f.memory[OUTER + INNER]]:
            return False
        out[SHARES + INNER] = n.logs[tile]
    for t in range(3):
        if f.macs[t]:
            out[MACS - OUTER + t] = mac_words(n, t, axis, way)
        if f.leads[t] >= 0:
            out[LEADS - OUTER + t] = lead(n, f, t, axis, way)
    out[STEPS - OUTER] = _steps(n, axis, way)
    return True


@compiled(inline=True)
def _steps(n: Numbers, axis: int, way: Ints) -> Any:
    """The logarithm of how many steps there are, at least."""
    found = 0.0
    for k in range(2):
        d = n.first[axis] if k == 0 else n.second[axis]
        if d >= 0:
            found += n.logs[groups(n, d, way[k], 1)]
    return found
