"""How often an option sends words: to the pads, and to MACs that none feeds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.extents import extent, groups, rows, slides_over
from hwsim.search.problem import Form, Numbers
from hwsim.search.ways import CHUNK, IFMAP, PADS, PLACES, largest, tiles_of

Ints = NDArray[np.int64]


@compiled(inline=True)
def pad_visits(n: Numbers, f: Form, t: int, axis: int, way: Ints, j: int) -> Any:
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
def risen_places(n: Numbers, f: Form, t: int, axis: int, way: Ints) -> Any:
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
def mac_words(n: Numbers, t: int, axis: int, way: Ints) -> Any:
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
