"""What the PEs wait for: a tensor's first tiles in the pads, each time that the pipeline starts.

Starts times first tiles count no further than all words that are sent (`Transfer.waited`). So what
an axis has of both is no more than what it has of the words: where a tensor has a dimension, than
all of it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.extents import extent, groups, rows
from hwsim.search.problem import OUTER, RISEN_TILE, Form, Numbers
from hwsim.search.ways import ABOVE, CHUNK, IFMAP, PADS, PLACES, tiles_of

Ints = NDArray[np.int64]


@compiled(inline=True)
def lead(n: Numbers, f: Form, t: int, axis: int, way: Ints) -> Any:
    """The logarithm of the words of a tensor's first tiles in all pads, at least, times starts
    where the pipeline starts within the array."""
    pad = CHUNK if f.leads[t] == RISEN_TILE else PADS + f.leads[t] - OUTER
    if axis < 2 and t == IFMAP:
        return _rows(n, f, axis, way, pad)
    found = 0.0
    for k in range(2):
        d = n.first[axis] if k == 0 else n.second[axis]
        if d < 0:
            continue
        starts = _starts(n, f, d, way[k])
        inside = starts if f.starts >= OUTER else 1
        if n.lacks[t, d]:
            found += np.log(min(inside, groups(n, d, way[k], way[k, pad])))
        else:
            first = min(way[k, PLACES] * way[k, pad], n.bounds[d] / starts)
            found += np.log(first * inside)
    return found


@compiled(inline=True)
def _starts(n: Numbers, f: Form, d: int, way: Ints) -> Any:
    """Starts within the array, at least; or as many as there may be above it."""
    if f.starts >= OUTER:
        return groups(n, d, way, way[PADS + f.starts - OUTER])
    return tiles_of(n.bounds[d], n.sizes[d, way[ABOVE]]) if f.starts >= 0 else 1


@compiled(inline=True)
def _rows(n: Numbers, f: Form, axis: int, way: Ints, pad: int) -> Any:
    """The same of an ifmap's rows (columns)."""
    d, e = n.first[axis], n.second[axis]
    x, y = _starts(n, f, d, way[0]), _starts(n, f, e, way[1])
    a, b = way[0, pad], way[1, pad]
    if n.shared[IFMAP]:
        a, b = min(a * way[0, PLACES], n.bounds[d]), min(b * way[1, PLACES], n.bounds[e])
    first = np.log(extent(n, axis, a, b))
    if f.starts >= OUTER:
        return min(first + np.log(x * y), rows(n, axis, x, y))
    return min(first, n.each_h[x, y] if axis == 0 else n.each_w[x, y])
