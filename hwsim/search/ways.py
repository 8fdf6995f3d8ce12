"""What a dimension may do from the array inwards: its places on the array, and tiles of a PE."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.problem import INNER, OUTER, Form, Numbers

Ints = NDArray[np.int64]
IFMAP = 0
# Columns of what a dimension does: its places, the tile of a PE, those of the pads, and the number
# of the tile above the array.
PLACES, CHUNK, PADS = 0, 1, 2
ABOVE = PADS + INNER
WIDTH = ABOVE + 1
# The column that counts what tiles of 1 come to.
ONES = PLACES


class Ways(NamedTuple):
    """What a dimension may do [way, WIDTH]: `rows`, and of the tile in each column in how many
    `steps` all PEs go through them at least, and how many `tiles` there are; in column ONES those
    of 1, and no steps in column ABOVE."""

    rows: Ints
    steps: Ints
    tiles: Ints


@compiled(inline=True)
def tiles_of(bound: int, tile: int) -> Any:
    """How many tiles make up a bound."""
    return (bound + tile - 1) // tile


@compiled()
def splits_of(n: Numbers, d: int) -> Any:
    """Rows (x, y): every way to spread a dimension that may be worth it, by places."""
    bound = n.bounds[d] if d >= 0 else 1
    found, count = np.ones((n.x * n.y, 2), np.int64), 0
    wide, high = n.x if n.along[d, 0] else 1, n.y if n.along[d, 1] else 1
    for x in range(1, min(wide, bound) + 1):
        if x > 1 and tiles_of(bound, x) == tiles_of(bound, x - 1):
            continue
        for y in range(1, min(high, tiles_of(bound, x)) + 1):
            if y > 1 and tiles_of(bound, x * y) == tiles_of(bound, x * (y - 1)):
                continue
            if x > 1 and y > 1 and tiles_of(bound, x * y) == tiles_of(bound, (x - 1) * y):
                continue
            found[count] = x, y
            count += 1
    found = found[:count]
    return found[np.argsort(found[:, 0] * found[:, 1], kind="mergesort")]


@compiled()
def dimension_ways(n: Numbers, f: Form, d: int) -> Ways:
    """Every way of a dimension that may be worth it."""
    if d < 0:
        found = np.ones((1, WIDTH), np.int64)
        found[0, ABOVE] = 0
        return Ways(found, np.ones_like(found), np.ones_like(found))
    chains, splits = _chains(n, f, d), splits_of(n, d)
    found, count, before = np.ones((64, WIDTH), np.int64), 0, 0
    for at in range(splits.shape[0]):
        places = splits[at, 0] * splits[at, 1]
        if places == before:
            continue
        before, fewer = places, _fewer(splits, places)
        for row in range(chains.shape[0]):
            lo, hi = _tiles_above(n, d, places, fewer, chains[row, 0])
            for above in range(lo, hi):
                if count == found.shape[0]:
                    found = np.concatenate((found, found))
                found[count, PLACES], found[count, ABOVE] = places, above
                for column in range(chains.shape[1]):
                    found[count, CHUNK + column] = chains[row, column]
                count += 1
    return counted(n, d, found[:count], f.inner_tensors.size)


@compiled()
def counted(n: Numbers, d: int, found: Ints, pads: int) -> Ways:
    """The ways with what their tiles come to, those of so many pads."""
    steps, tiles = np.ones_like(found), np.ones_like(found)
    _count(n, d, found, pads, steps, tiles)
    return Ways(found, steps, tiles)


@compiled(allocates=False)
def _count(n: Numbers, d: int, found: Ints, pads: int, steps: Ints, tiles: Ints) -> None:
    bound = n.bounds[d]
    for at in range(found.shape[0]):
        steps[at, ONES], tiles[at, ONES] = groups(n, d, found[at], 1), bound
        tiles[at, ABOVE] = tiles_of(bound, n.sizes[d, found[at, ABOVE]])
        for column in range(CHUNK, PADS + pads):
            steps[at, column] = groups(n, d, found[at], found[at, column])
            tiles[at, column] = tiles_of(bound, found[at, column])


@compiled(allocates=False)
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


@compiled(allocates=False)
def _fewer(splits: Ints, places: int) -> Any:
    """The most of such places that are left where either axis has one fewer, of the split of which
    least are; all but one if there is no such split."""
    most = places - 1
    for at in range(splits.shape[0]):
        x, y = splits[at]
        if x * y == places:
            most = min(most, max((x - 1) * y, x * (y - 1)))
    return most


@compiled(allocates=False)
def _tiles_above(n: Numbers, d: int, places: int, fewer: int, chunk: int) -> Any:
    """Numbers of the tiles above the array, from the largest that so many places and tiles of a PE
    cover, to the end.

    A nest whose tile would do with fewer places has the option of those: its tiles are sent no
    less often than they would be then.
    """
    least, lo, hi = max(fewer * chunk + 1, chunk), 0, n.counts[d]
    while n.sizes[d, lo] > places * chunk:
        lo += 1
    # Tiles are the smallest of their number: the largest of it must keep all places busy.
    while hi > lo and largest(n.bounds[d], n.sizes[d, hi - 1]) < least:
        hi -= 1
    return lo, hi


@compiled(allocates=False)
def largest(bound: int, tile: int) -> Any:
    """The largest tile of the same number of tiles."""
    tiles = tiles_of(bound, tile)
    return bound if tiles == 1 else (bound - 1) // (tiles - 1)


@compiled()
def _chains(n: Numbers, f: Form, d: int) -> Any:
    """Rows (chunk, tile of each pad): tiles that fall only where loops may be."""
    free = np.nonzero(f.inner_masks[:, d])[0] if d >= 0 else np.zeros(0, np.int64)
    if d < 0 or n.bounds[d] == 1 or free.size == 0:
        return np.ones((1, 1 + INNER), np.int64)
    sizes = n.sizes[d, : n.counts[d]]
    total = sizes.size**free.size
    found = np.ones((total, 1 + INNER), np.int64)
    picks = np.zeros(free.size, np.int64)
    count = 0
    for code in range(total):
        if not _falling(code, sizes.size, picks):
            continue
        level, tile = 0, sizes[picks[0]]
        found[count, 0] = tile
        for slot in range(f.inner_tensors.size + 1):
            if f.inner_masks[slot, d]:
                level += 1
                tile = sizes[picks[level]] if level < free.size else 1
            if slot < f.inner_tensors.size:
                found[count, 1 + slot] = tile
        if tile == 1 and _fits_alone(n, f, d, found[count]):
            count += 1
    return found[:count]


@compiled(allocates=False)
def _falling(code: int, base: int, picks: Ints) -> bool:
    """Reads numbers of sizes off the digits of a code; whether no tile is larger than the one
    before."""
    for level in range(picks.size):
        picks[level] = code % base
        code //= base
        if level and picks[level] < picks[level - 1]:
            return False
    return True


@compiled(allocates=False)
def _fits_alone(n: Numbers, f: Form, d: int, chain: Ints) -> bool:
    """Whether tiles of one dimension would fit the pads if all others were 1."""
    for j in range(f.inner_tensors.size):
        t, at = f.inner_tensors[j], OUTER + j
        if chain[1 + j] > f.most[at, d]:
            return False
        if not n.lacks[t, d] and f.bits[at] * chain[1 + j] > n.room[f.memory[at]] and t != IFMAP:
            return False
    if f.risen >= 0:
        t, at = f.tensors[f.risen], OUTER + INNER
        if chain[0] > f.most[at, d]:
            return False
        if not n.lacks[t, d] and f.bits[at] * chain[0] > n.room[f.memory[at]] and t != IFMAP:
            return False
    return True
