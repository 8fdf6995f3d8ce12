"""What tiles above the array and places on it come to, axis by axis, whatever the structure."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.extents import rows, slides_over, tile_share
from hwsim.search.problem import Numbers
from hwsim.search.ways import IFMAP, splits_of, tiles_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# Ways to split the same places between x and y, at most.
SPLITS = 32


class Tables(NamedTuple):
    """Tiles above the array and places of a layer on a machine.

    `times` [axis, tensor, tile, tile]: logarithms of how often such tiles are sent, unless the
    ifmap slides, and `shares` likewise of what the axis contributes to their elements; `counts`
    [axis, tile, tile]: of how many tiles there are. `overlaps` [axis, 2, tile of the other
    dimension]: whether ifmap tiles share rows as they slide along either one.

    An axis' places are numbers from `starts[axis]` to `starts[axis + 1]`: `splits` [spread, SPLITS,
    2], (x, y) that make them, of which `split_counts`; `ends` [spread, 2, 2] logarithms of those
    that are longest along y and along x, numbers `end_splits` [spread, 2].
    """

    times: Floats
    shares: Floats
    counts: Floats
    overlaps: Flags
    starts: Ints
    splits: Ints
    split_counts: Ints
    ends: Floats
    end_splits: Ints


@compiled()
def tables(n: Numbers) -> Tables:
    """The tables of all axes."""
    most = n.sizes.shape[1]
    overlaps = np.zeros((6, 2, max(most, n.wide)), np.bool_)
    times, shares = np.zeros((6, 3, most, n.wide)), np.zeros((6, 3, most, n.wide))
    counts, starts = np.zeros((6, most, n.wide)), np.zeros(7, np.int64)
    splits, split_counts = np.zeros((0, SPLITS, 2), np.int64), np.zeros(0, np.int64)
    for axis in range(6):
        _count_tiles(n, axis, times[axis], shares[axis], counts[axis])
        if axis < 2:
            _slide(n, axis, overlaps[axis])
        own = spreads(n, axis)
        splits = np.concatenate((splits, own[2]))
        split_counts = np.concatenate((split_counts, own[3]))
        starts[axis + 1] = split_counts.size
    ends, end_splits = _ends(splits, split_counts)
    return Tables(times, shares, counts, overlaps, starts, splits, split_counts, ends, end_splits)


@compiled(allocates=False)
def tile_counts(n: Numbers, axis: int) -> Any:
    """How many tiles the dimensions of an axis have."""
    d, e = n.first[axis], n.second[axis]
    return n.counts[d], n.counts[e] if e >= 0 else 1


@compiled(allocates=False)
def _count_tiles(n: Numbers, axis: int, times: Floats, shares: Floats, counts: Floats) -> None:
    """Fills in what tiles of an axis come to."""
    d, e = n.first[axis], n.second[axis]
    c0, c1 = tile_counts(n, axis)
    for i in range(c0):
        for j in range(c1):
            a, b = n.sizes[d, i], n.sizes[e, j] if e >= 0 else 1
            counts[i, j] = np.log(tiles_of(n.bounds[d], a))
            if e >= 0:
                counts[i, j] += np.log(tiles_of(n.bounds[e], b))
            for t in range(3):
                times[t, i, j] = _times(n, axis, t, a, b)
                shares[t, i, j] = np.log(tile_share(n, t, axis, a, b))


@compiled(allocates=False)
def _times(n: Numbers, axis: int, t: int, a: int, b: int) -> Any:
    """The logarithm of how often tiles are sent."""
    d, e = n.first[axis], n.second[axis]
    u = tiles_of(n.bounds[d], a)
    v = tiles_of(n.bounds[e], b) if e >= 0 else 1
    if axis < 2 and t == IFMAP:
        return rows(n, axis, u, v)
    found = 0.0
    if n.lacks[t, d]:
        found += np.log(u)
    if e >= 0 and n.lacks[t, e]:
        found += np.log(v)
    return found


@compiled(allocates=False)
def _slide(n: Numbers, axis: int, overlaps: Flags) -> None:
    """Fills in where ifmap tiles share rows."""
    c0, c1 = tile_counts(n, axis)
    for j in range(c1):
        overlaps[0, j] = slides_over(n, axis, 0, n.sizes[n.second[axis], j])
    for i in range(c0):
        overlaps[1, i] = slides_over(n, axis, 1, n.sizes[n.first[axis], i])


@compiled()
def spreads(n: Numbers, axis: int) -> Any:
    """The places that an axis may have: the `rank` [2, places] of those of either dimension, the
    number of those of both [rank, rank], or -1 where the array has not so many, and splits and how
    many there are, as in Tables."""
    one, other = splits_of(n, n.first[axis]), splits_of(n, n.second[axis])
    rank = np.zeros((2, n.x * n.y + 1), np.int64)
    numbers = np.full((_ranked(one, rank[0]), _ranked(other, rank[1])), -1)
    splits = np.zeros((numbers.size, SPLITS, 2), np.int64)
    counts, total = np.zeros(numbers.size, np.int64), 0
    for i in range(one.shape[0]):
        for j in range(other.shape[0]):
            x, y = one[i, 0] * other[j, 0], one[i, 1] * other[j, 1]
            if x > n.x or y > n.y:
                continue
            pair = rank[0, one[i, 0] * one[i, 1]], rank[1, other[j, 0] * other[j, 1]]
            if numbers[pair] < 0:
                numbers[pair] = total
                total += 1
            at = numbers[pair]
            known = False
            for k in range(counts[at]):
                known |= splits[at, k, 0] == x and splits[at, k, 1] == y
            if not known and counts[at] < SPLITS:
                splits[at, counts[at], 0], splits[at, counts[at], 1] = x, y
                counts[at] += 1
    return rank, numbers, splits[:total].copy(), counts[:total].copy()


@compiled(allocates=False)
def _ranked(splits: Ints, rank: Ints) -> Any:
    """Fills in the rank of each number of places [places], splits being sorted by it; how many
    there are."""
    found, before = 0, 0
    for at in range(splits.shape[0]):
        places = splits[at, 0] * splits[at, 1]
        if places != before:
            rank[places], before = found, places
            found += 1
    return found


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
