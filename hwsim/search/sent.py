"""How often an option sends words: to the pads, and to MACs that none feeds."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.extents import extent, rows, slides_over
from hwsim.search.problem import Form, Numbers
from hwsim.search.ways import CHUNK, IFMAP, ONES, PADS, PLACES, WIDTH, Ways, largest, tiles_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Pair(NamedTuple):
    """Ways [2, WIDTH] of both dimensions of an axis, and their `steps` and `tiles` as in Ways;
    `apart` [chunk, tile, times]: what `apart` found, its logarithm plus one, by numbers of the
    first one's sizes, `number` [count] of those of which there are so many tiles."""

    way: Ints
    steps: Ints
    tiles: Ints
    apart: Floats
    number: Ints


@compiled()
def pair(n: Numbers, axis: int) -> Pair:
    """Room for ways of an axis."""
    d, taps = n.first[axis], n.bounds[n.second[axis]] if axis < 2 else 1
    ones, number = np.ones((3, 2, WIDTH), np.int64), np.zeros(n.bounds[d] + 1, np.int64)
    for at in range(n.counts[d]):
        number[tiles_of(n.bounds[d], n.sizes[d, at])] = at
    known = np.zeros((n.counts[d], n.counts[d], taps))
    return Pair(ones[0], ones[1], ones[2], known, number)


@compiled(inline=True)
def enter(ways: Ways, row: int, k: int, o: Pair) -> None:
    """Writes down a way of a dimension."""
    for column in range(WIDTH):
        o.way[k, column] = ways.rows[row, column]
        o.steps[k, column] = ways.steps[row, column]
        o.tiles[k, column] = ways.tiles[row, column]


@compiled(inline=True)
def pad_visits(n: Numbers, f: Form, t: int, axis: int, o: Pair, j: int) -> Any:
    """Logarithms of how often a pad's tiles are sent: together, and summed over places."""
    if axis < 2 and t == IFMAP:
        return _window(n, f, axis, o, j)
    together = summed = 0.0
    for k in range(2):
        d = n.first[axis] if k == 0 else n.second[axis]
        if d >= 0 and n.lacks[t, d]:
            times = n.logs[o.steps[k, PADS + j]]
            together += times
            places, tiles = n.logs[o.way[k, PLACES]], n.logs[o.tiles[k, PADS + j]]
            summed += times + places if n.shared[t] else tiles
    return together, summed


@compiled(inline=True)
def _window(n: Numbers, f: Form, axis: int, o: Pair, j: int) -> Any:
    """The same of an ifmap's rows, which may slide inside the PE along one dimension."""
    d, e = n.first[axis], n.second[axis]
    at, before = PADS + j, PADS + j - 1
    p, r = o.way[0, at], o.way[1, at]
    slides = f.slides[f.tensors.size + j] == axis
    x, y, u, v = o.steps[0, at], o.steps[1, at], o.tiles[0, at], o.tiles[1, at]
    together, summed = max(rows(n, axis, x, y), apart(n, axis, o, j)), rows(n, axis, u, v)
    if slides and f.inner_masks[j, d] and o.way[0, before] > p and slides_over(n, axis, 0, r):
        z, w = o.steps[0, before], o.tiles[0, before]
        least = rows(n, axis, z, y)
        if o.way[1, PLACES] == 1:
            # Neighbours' tiles overlap when first sent, and never as they slide on.
            overlap = max(extent(n, axis, p, r) - o.way[0, before] * n.steps[axis, 0], 0)
            least = max(
                least, np.log(max(np.exp(rows(n, axis, w, y)) - (w - z) * y * overlap, 1.0))
            )
        together = min(together, least)
        summed = min(summed, rows(n, axis, w, v))
    if slides and f.inner_masks[j, e] and o.way[1, before] > r and slides_over(n, axis, 1, p):
        together = min(together, rows(n, axis, x, o.steps[1, before]))
        summed = min(summed, rows(n, axis, u, o.tiles[1, before]))
    return max(together, summed) if are_disjoint(n, axis, o, j) else together, summed


@compiled(allocates=False)
def are_disjoint(n: Numbers, axis: int, o: Pair, j: int) -> bool:
    """Whether no two places along an axis need the same ifmap row (column) at a time: they differ
    in one of its dimensions alone, and their tiles are no longer than those lie apart."""
    d, e = n.first[axis], n.second[axis]
    stride, dilation = n.steps[axis]
    p, r = largest(n.bounds[d], o.way[0, PADS + j]), largest(n.bounds[e], o.way[1, PADS + j])
    long = (p - 1) * stride + r
    if o.way[0, PLACES] == 1:
        return bool(p == 1 or (dilation == 1 and long <= o.way[1, CHUNK]))
    if o.way[1, PLACES] == 1:
        return bool(r == 1 or (dilation == 1 and long <= o.way[0, CHUNK] * stride))
    return False


@compiled(allocates=False)
def apart(n: Numbers, axis: int, o: Pair, j: int) -> Any:
    """The logarithm of the ifmap rows (columns) that are sent together at least, where the places'
    tiles do not touch but filters are side by side; -1 where that is not so.

    Each tile brings all its rows, up to those where the next place's begin. A row of the ofmap
    takes the fewest in tiles as large as can be, and filters in one large and otherwise small ones.
    Where places along both axes share a chunk that is cut raggedly, every other one is smaller.
    """
    d, e = n.first[axis], n.second[axis]
    chunk, r = o.way[0, CHUNK], o.way[1, PADS + j]
    p = largest(n.bounds[d], o.way[0, PADS + j])
    if n.steps[axis, 1] > 1 or o.way[1, CHUNK] > r or largest(n.bounds[e], r) > r or p >= chunk:
        return -1.0
    times = o.steps[1, PADS + j] - 1
    at = o.number[o.tiles[0, CHUNK]], o.number[o.tiles[0, PADS + j]], times
    if o.apart[at] == 0.0:
        o.apart[at] = 1.0 + _least_apart(n, axis, p, times, chunk)
    return o.apart[at] - 1.0


@compiled(allocates=False)
def _least_apart(n: Numbers, axis: int, p: int, times: int, chunk: int) -> Any:
    """The same of tiles of p rows, the filter's cut into a large one and so many small ones."""
    d, e = n.first[axis], n.second[axis]
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
def risen_places(n: Numbers, f: Form, t: int, axis: int, o: Pair) -> Any:
    """What places multiply the words of a pad that rose by, summed over them."""
    found = 0.0
    if axis < 2 and t == IFMAP:
        places = o.way[0, PLACES], o.way[1, PLACES]
        u, v = o.tiles[0, CHUNK], o.tiles[1, CHUNK]
        found = rows(n, axis, u, v)
        if f.slides[f.risen] == axis and slides_over(n, axis, 0, o.way[1, CHUNK]):
            found = min(found, rows(n, axis, min(places[0], u), v))
        if f.slides[f.risen] == axis and slides_over(n, axis, 1, o.way[0, CHUNK]):
            found = min(found, rows(n, axis, u, min(places[1], v)))
        return found
    for k in range(2):
        d = n.first[axis] if k == 0 else n.second[axis]
        if d >= 0 and n.lacks[t, d]:
            found += n.logs[o.way[k, PLACES]]
    return found


@compiled(inline=True)
def mac_words(n: Numbers, t: int, axis: int, o: Pair) -> Any:
    """The logarithm of how often words are read for MACs that no pad feeds; for each place, where
    one word does not serve all."""
    d, e = n.first[axis], n.second[axis]
    x, y = n.bounds[d], n.bounds[e] if e >= 0 else 1
    if n.shared[t]:
        x, y = o.steps[0, ONES], o.steps[1, ONES]
    if axis < 2 and t == IFMAP:
        return rows(n, axis, x, y)
    found = 0.0
    if n.lacks[t, d]:
        found += n.logs[x]
    if e >= 0 and n.lacks[t, e]:
        found += n.logs[y]
    return found
