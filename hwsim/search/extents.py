"""What tiles of an axis come to: steps to go through them, rows of the ifmap, and elements."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.problem import Numbers
from hwsim.search.ways import ABOVE, CHUNK, IFMAP, PLACES, largest, tiles_of

Ints = NDArray[np.int64]


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


@compiled(inline=True)
def rows(n: Numbers, axis: int, x: int, y: int) -> Any:
    """The logarithm of the ifmap rows (columns) sent, at least, in x by y tiles."""
    return n.rows_h[x, y] if axis == 0 else n.rows_w[x, y]


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


@compiled()
def slides_over(n: Numbers, axis: int, way: int, tile: int) -> Any:
    """Whether ifmap tiles that follow each other along the first (second) dimension of an axis may
    share rows, given their tile of the other one."""
    other, step = n.second[axis], n.steps[axis, 0]
    if way == 1:
        other, step = n.first[axis], n.steps[axis, 1]
    return largest(n.bounds[other], tile) > (step if n.steps[axis, 1 - way] == 1 else 1)
