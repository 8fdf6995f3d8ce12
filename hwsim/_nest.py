"""Sums over the states of a loop nest, one tensor axis at a time.

An axis is one dimension, or two that index the ifmap together (P with R, Q with S). Along each
dimension a loop is (tile, kind): it goes on in time, from tile to tile of which an instance keeps
the last (`MOVER`) or not (`TEMPORAL`); or it tells instances apart, which are sent words together
(`SHARED`) or each by itself (`SEPARATE`).
"""

from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled

TEMPORAL, MOVER, SHARED, SEPARATE = 0, 1, 2, 3
FIRST, LENGTH, HAD_FIRST, HAD_LENGTH, GROUP = 0, 1, 2, 3, 4

Array1D = NDArray[np.int64]
Array2D = NDArray[np.int64]
Loops = tuple[tuple[int, int], ...]


@lru_cache(maxsize=2**16)
def states(length: int, loops: tuple[tuple[int, bool], ...]) -> int:
    """How many tiles the loops tell apart that count, each in the first tile of every other.

    `loops` are (tile, whether it counts), outermost first; ragged edges have fewer tiles.
    """
    if not loops:
        return 1
    (tile, counts), inner = loops[0], loops[1:]
    tile = min(tile, length)
    full, ragged = divmod(length, tile) if counts else (1, 0)
    edge = states(ragged, inner) if ragged else 0
    return full * states(tile, inner) + edge


@lru_cache(maxsize=2**16)
def window_words(
    bounds: tuple[int, int],
    loops: tuple[Loops, Loops],
    steps: tuple[int, int],
    span: tuple[int, int],
) -> tuple[int, int]:
    """Indices that instances are sent along an ifmap axis: by shared transfers, and one by one.

    `bounds`, `loops` and `steps` are those of the ofmap's dimension and the filter's; index a *
    steps[0] + b * steps[1] exists within `span`, its end left out. An instance is sent what its
    tile has and the one before it, if the mover has advanced, has not.
    """
    slides = any(kind == MOVER for own in loops for _, kind in own)
    major, minor = (_tiles(length, own) for length, own in zip(bounds, loops, strict=True))
    together, apart = words_of_tables(major, minor, slides, *steps, *span)
    return int(together), int(apart)


@lru_cache(maxsize=2**12)
def _tiles(length: int, loops: Loops) -> Array2D:
    return cast(Array2D, tile_table(length, np.array(loops, np.int64).reshape(-1, 2)))


@compiled()
def tile_table(length: int, loops: Array2D) -> Any:
    """A row (first, length, first and length of the tile held before, group) for each tile at each
    instance and state, sorted by group: those of one are sent together. `loops`: [loop, 2]."""
    table, groups = np.zeros((1, 5), np.int64), 1
    table[0, LENGTH] = table[0, HAD_LENGTH] = length
    for loop in range(loops.shape[0]):
        tile, kind, most, size = loops[loop, 0], loops[loop, 1], 0, 0
        for row in range(table.shape[0]):
            trips = -(-table[row, LENGTH] // tile)
            most, size = max(most, trips), size + trips
        cut, at = np.empty((size, 5), np.int64), 0
        for row in range(table.shape[0]):
            for index in range(-(-table[row, LENGTH] // tile)):
                _cut(table[row], tile, index, kind, cut[at])
                if kind != SHARED:
                    cut[at, GROUP] = table[row, GROUP] * most + index
                at += 1
        table, groups = cut, groups * (most if kind != SHARED else 1)
    return _grouped(table, groups)


@compiled()
def _cut(whole: Array1D, tile: int, index: int, kind: int, found: Array1D) -> None:
    """The tile of that index that a row is cut into."""
    for first in (FIRST, HAD_FIRST):
        found[first] = whole[first] + index * tile
        found[first + 1] = min(max(whole[first + 1] - index * tile, 0), tile)
    found[GROUP] = whole[GROUP]
    if kind == MOVER:
        found[HAD_FIRST] -= tile
        found[HAD_LENGTH] = tile if index else 0


@compiled()
def _grouped(table: Array2D, groups: int) -> Any:
    """The rows sorted by group, those of one in their order."""
    found, places = np.empty_like(table), np.zeros(groups + 1, np.int64)
    for row in range(table.shape[0]):
        places[table[row, GROUP] + 1] += 1
    for group in range(groups):
        places[group + 1] += places[group]
    for row in range(table.shape[0]):
        group = table[row, GROUP]
        for column in range(5):
            found[places[group], column] = table[row, column]
        places[group] += 1
    return found


@compiled()
def _run_end(tiles: Array2D, start: int) -> int:
    """The end of the group that starts there."""
    end = start
    while end < tiles.shape[0] and tiles[end, GROUP] == tiles[start, GROUP]:
        end += 1
    return end


@compiled()
def words_of_tables(
    major: Array2D,
    minor: Array2D,
    slides: bool,
    stride: int,
    dilation: int,
    first: int,
    end: int,
) -> Any:
    """Sums over all pairs of a tile of `major` and one of `minor`."""
    held, sent = np.zeros(end, np.int64), np.zeros(end, np.int64)
    together, apart, pair, group, i = 0, 0, 0, 0, 0
    while i < major.shape[0]:
        i_end, j = _run_end(major, i), 0
        while j < minor.shape[0]:
            j_end = _run_end(minor, j)
            group += 1
            for a in range(i, i_end):
                for b in range(j, j_end):
                    pair += 1
                    if slides:
                        _hold(held, pair, major[a], minor[b], stride, dilation)
                    for row in range(major[a, FIRST], major[a, FIRST] + major[a, LENGTH]):
                        for tap in range(minor[b, FIRST], minor[b, FIRST] + minor[b, LENGTH]):
                            at = row * stride + tap * dilation
                            if at < first or at >= end or held[at] == pair:
                                continue
                            held[at] = pair
                            apart += 1
                            if sent[at] != group:
                                sent[at] = group
                                together += 1
            j = j_end
        i = i_end
    return together, apart


@compiled()
def _hold(
    held: Array1D, pair: int, major: Array1D, minor: Array1D, stride: int, dilation: int
) -> None:
    """Marks what an instance held before."""
    for row in range(major[HAD_FIRST], major[HAD_FIRST] + major[HAD_LENGTH]):
        for tap in range(minor[HAD_FIRST], minor[HAD_FIRST] + minor[HAD_LENGTH]):
            at = row * stride + tap * dilation
            if at < held.size:
                held[at] = pair
