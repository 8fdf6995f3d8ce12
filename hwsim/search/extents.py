"""What tiles of an axis come to: rows of the ifmap, and elements."""

from typing import Any

from hwsim._compiled import compiled
from hwsim.search.problem import Numbers
from hwsim.search.ways import IFMAP, largest


@compiled(inline=True)
def extent(n: Numbers, axis: int, a: int, b: int) -> Any:
    """Ifmap rows (columns) of a tile, as `mapping.ifmap_extent`, no more than there are."""
    stride, dilation = n.coprime[axis]
    rows = a * b - max(a - dilation, 0) * max(b - stride, 0)
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


@compiled(allocates=False)
def slides_over(n: Numbers, axis: int, way: int, tile: int) -> Any:
    """Whether ifmap tiles that follow each other along the first (second) dimension of an axis may
    share rows, given their tile of the other one."""
    other, step = n.second[axis], n.steps[axis, 0]
    if way == 1:
        other, step = n.first[axis], n.steps[axis, 1]
    return largest(n.bounds[other], tile) > (step if n.steps[axis, 1 - way] == 1 else 1)
