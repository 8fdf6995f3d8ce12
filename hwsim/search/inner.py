"""What an axis may do from the array inwards: its places on the array, and tiles within a PE."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.dominance import undominated
from hwsim.search.problem import INNER, MONOMIALS, OUTER, Form, Numbers
from hwsim.search.ways import (
    ABOVE,
    CHUNK,
    IFMAP,
    PADS,
    PLACES,
    WIDTH,
    dimension_ways,
    largest,
    splits_of,
    tiles_of,
)

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


@compiled(inline=True)
def groups(n: Numbers, d: int, way: Ints, tile: int) -> Any:
    """In how many steps all tiles of PEs are gone through, at least: a step for each tile above the
    array, and for each tile that a PE's own chunk is cut into.

    Tiles above the array are as large as their number and the places allow, a PE's as small as its
    number does: of tiles of the bound some are that large and take so many steps, and the rest,
    cut as finely as the PE's tiles, a step each.
    """
    bound, chunk, above = n.bounds[d], way[CHUNK], n.sizes[d, way[ABOVE]]
    steps = max(tiles_of(bound, way[PLACES] * tile), tiles_of(bound, above))
    widest, most = largest(bound, tile), largest(bound, way[PLACES]) * largest(bound, chunk)
    each, most = tiles_of(chunk, widest), min(largest(bound, above), most)
    whole = bound // most
    least = whole * each + min(tiles_of(bound - whole * most, widest), each)
    return max(steps, min(least, tiles_of(bound, widest)))


@compiled(inline=True)
def extent(n: Numbers, axis: int, a: int, b: int) -> Any:
    """Ifmap rows (columns) of a tile, as `mapping.ifmap_extent`, no more than there are."""
    stride, dilation = n.steps[axis]
    g, h = stride, dilation
    while h:
        g, h = h, g % h
    rows = a * b - max(a - dilation // g, 0) * max(b - stride // g, 0)
    return min(rows, n.span[axis])


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


@compiled()
def slides_over(n: Numbers, axis: int, way: int, tile: int) -> Any:
    """Whether ifmap tiles that follow each other along the first (second) dimension of an axis may
    share rows, given their tile of the other one."""
    other, step = n.second[axis], n.steps[axis, 0]
    if way == 1:
        other, step = n.first[axis], n.steps[axis, 1]
    return largest(n.bounds[other], tile) > (step if n.steps[axis, 1 - way] == 1 else 1)


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
        together, summed = _visits(n, f, t, axis, way, j)
        out[j] = together if n.shared[t] else summed
        out[INNER + j] = summed
    if f.risen >= 0:
        t = f.tensors[f.risen]
        out[2 * INNER] = _risen_places(n, f, t, axis, way)
        tile = tile_share(n, t, axis, way[0, CHUNK], way[1, CHUNK])
        if tile * f.bits[OUTER + INNER] > n.room[f.memory[OUTER + INNER]]:
            return False
        out[SHARES + INNER] = n.logs[tile]
    for t in range(3):
        if f.macs[t]:
            out[2 * INNER + 1 + t] = _mac_words(n, t, axis, way)
    for k in range(2):
        d = n.first[axis] if k == 0 else n.second[axis]
        if d >= 0:
            out[SHARES - 1] += n.logs[groups(n, d, way[k], 1)]
    return True


@compiled(inline=True)
def tile_share(n: Numbers, t: int, axis: int, a: int, b: int) -> Any:
    """What the axis contributes to the elements of a tile."""
    if axis < 2 and t == IFMAP:
        return extent(n, axis, a, b)
    d, e = n.first[axis], n.second[axis]
    tile = 1
    if not n.lacks[t, d]:
        tile *= a
    if e >= 0 and not n.lacks[t, e]:
        tile *= b
    return tile


@compiled(inline=True)
def rows(n: Numbers, axis: int, x: int, y: int) -> Any:
    """The logarithm of the ifmap rows (columns) sent, at least, in x by y tiles."""
    return n.rows_h[x, y] if axis == 0 else n.rows_w[x, y]


@compiled(inline=True)
def _visits(n: Numbers, f: Form, t: int, axis: int, way: Ints, j: int) -> Any:
    """Logarithms of how often a pad's tiles are sent: together, and summed over places."""
    if axis < 2 and t == IFMAP:
        return _window(n, f, axis, way, j)
    together = summed = 0.0
    for k in range(2):
        d = n.first[axis] if k == 0 else n.second[axis]
        if d >= 0 and n.lacks[t, d]:
            places, tile = way[k, PLACES], way[k, PADS + j]
            times = n.logs[groups(n, d, way[k], tile)]
            together += times
            summed += times + n.logs[places] if n.shared[t] else n.logs[tiles_of(n.bounds[d], tile)]
    return together, summed


@compiled(inline=True)
def _window(n: Numbers, f: Form, axis: int, way: Ints, j: int) -> Any:
    """The same of an ifmap's rows, which may slide inside the PE along one dimension."""
    d, e = n.first[axis], n.second[axis]
    p, r = way[0, PADS + j], way[1, PADS + j]
    slides = f.slides[f.tensors.size + j] == axis
    x, y = groups(n, d, way[0], p), groups(n, e, way[1], r)
    u, v = tiles_of(n.bounds[d], p), tiles_of(n.bounds[e], r)
    together, summed = max(rows(n, axis, x, y), _apart(n, axis, way, j)), rows(n, axis, u, v)
    if slides and f.inner_masks[j, d] and way[0, PADS + j - 1] > p and slides_over(n, axis, 0, r):
        before = way[0, PADS + j - 1]
        z, w = groups(n, d, way[0], before), tiles_of(n.bounds[d], before)
        least = rows(n, axis, z, y)
        if way[1, PLACES] == 1:
            # Neighbours' tiles overlap when first sent, and never as they slide on.
            overlap = max(extent(n, axis, p, r) - before * n.steps[axis, 0], 0)
            least = max(
                least, np.log(max(np.exp(rows(n, axis, w, y)) - (w - z) * y * overlap, 1.0))
            )
        together = min(together, least)
        summed = min(summed, rows(n, axis, w, v))
    if slides and f.inner_masks[j, e] and way[1, PADS + j - 1] > r and slides_over(n, axis, 1, p):
        before = way[1, PADS + j - 1]
        x, y = groups(n, d, way[0], p), groups(n, e, way[1], before)
        together = min(together, rows(n, axis, x, y))
        summed = min(summed, rows(n, axis, u, tiles_of(n.bounds[e], before)))
    return together, summed


@compiled(inline=True)
def _apart(n: Numbers, axis: int, way: Ints, j: int) -> Any:
    """The logarithm of the ifmap rows (columns) that are sent together at least, where the places'
    tiles do not touch but filters are side by side; -1 where that is not so.

    Each tile brings all its rows, up to those where the next place's begin. A row of the ofmap
    takes the fewest in tiles as large as can be, and filters in one large and otherwise small ones.
    Where places along both axes share a chunk that is cut raggedly, every other one is smaller.
    """
    d, e = n.first[axis], n.second[axis]
    chunk, r = way[0, CHUNK], way[1, PADS + j]
    p = largest(n.bounds[d], way[0, PADS + j])
    if n.steps[axis, 1] > 1 or way[1, CHUNK] > r or largest(n.bounds[e], r) > r or p >= chunk:
        return -1.0
    times = groups(n, e, way[1], r) - 1
    whole = times * _of_each(n, axis, p, 1, chunk) + _of_each(
        n, axis, p, n.bounds[e] - times, chunk
    )
    least = whole
    enough = min(chunk, p + n.bounds[e] // n.steps[axis, 0] + 2)
    for ragged in range(1, enough if n.x > 1 and n.y > 1 else 1):
        short = times * _of_each(n, axis, p, 1, ragged)
        short += _of_each(n, axis, p, n.bounds[e] - times, ragged)
        least = min(least, (chunk * whole + ragged * short) / (chunk + ragged))
    everything = n.bounds[d] * n.bounds[e]
    padding = everything - np.exp(rows(n, axis, n.bounds[d], n.bounds[e]))
    return np.log(max(least * n.bounds[d] - padding, 1.0))


@compiled(inline=True)
def _of_each(n: Numbers, axis: int, p: int, b: int, chunk: int) -> Any:
    """Ifmap rows that each row of the ofmap brings at least, in tiles of up to p rows by b filter
    rows, at places that are a chunk apart."""
    stride = n.steps[axis, 0]
    p = min(p, chunk)
    found = p * b if b < stride else min((p - 1) * stride + b, chunk * stride)
    return found / p


@compiled(inline=True)
def _risen_places(n: Numbers, f: Form, t: int, axis: int, way: Ints) -> Any:
    """What places multiply the words of a pad that rose by, summed over them."""
    d, e = n.first[axis], n.second[axis]
    found = 0.0
    if axis < 2 and t == IFMAP:
        places = way[0, PLACES], way[1, PLACES]
        u, v = tiles_of(n.bounds[d], way[0, CHUNK]), tiles_of(n.bounds[e], way[1, CHUNK])
        found = rows(n, axis, u, v)
        if f.slides[f.risen] == axis and slides_over(n, axis, 0, way[1, CHUNK]):
            found = min(found, rows(n, axis, min(places[0], u), v))
        if f.slides[f.risen] == axis and slides_over(n, axis, 1, way[0, CHUNK]):
            found = min(found, rows(n, axis, u, min(places[1], v)))
        return found
    for k in range(2):
        d = n.first[axis] if k == 0 else n.second[axis]
        if d >= 0 and n.lacks[t, d]:
            found += n.logs[way[k, PLACES]]
    return found


@compiled(inline=True)
def _mac_words(n: Numbers, t: int, axis: int, way: Ints) -> Any:
    """The logarithm of how often words are read for MACs that no pad feeds; for each place, where
    one word does not serve all."""
    d, e = n.first[axis], n.second[axis]
    x, y = n.bounds[d], n.bounds[e] if e >= 0 else 1
    if n.shared[t]:
        x, y = groups(n, d, way[0], 1), groups(n, e, way[1], 1) if e >= 0 else 1
    if axis < 2 and t == IFMAP:
        return rows(n, axis, x, y)
    found = 0.0
    if n.lacks[t, d]:
        found += n.logs[x]
    if e >= 0 and n.lacks[t, e]:
        found += n.logs[y]
    return found
