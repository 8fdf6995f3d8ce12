"""What the PEs wait for: a tensor's first tiles in the pads, each time that the pipeline starts.

Starts times first tiles count no further than all words that are sent (`Transfer.waited`). So what
an axis has of both is no more than what it has of the words: where a tensor has a dimension, than
all of it.
"""

from typing import Any

import numpy as np

from hwsim._compiled import compiled
from hwsim.search.extents import extent, rows
from hwsim.search.problem import OUTER, RISEN_TILE, Form, Numbers
from hwsim.search.sent import Pair
from hwsim.search.ways import ABOVE, CHUNK, IFMAP, PADS, PLACES


@compiled(inline=True)
def lead(n: Numbers, f: Form, t: int, axis: int, o: Pair) -> Any:
    """The logarithm of the words of a tensor's first tiles in all pads, at least, times starts
    where the pipeline starts within the array."""
    pad = CHUNK if f.leads[t] == RISEN_TILE else PADS + f.leads[t] - OUTER
    if axis < 2 and t == IFMAP:
        return _rows(n, f, axis, o, pad)
    found = 0.0
    for k in range(2):
        d = n.first[axis] if k == 0 else n.second[axis]
        if d < 0:
            continue
        starts = _starts(f, o, k)
        inside = starts if f.starts >= OUTER else 1
        if n.lacks[t, d]:
            found += np.log(min(inside, o.steps[k, pad]))
        else:
            first = min(o.way[k, PLACES] * o.way[k, pad], n.bounds[d] / starts)
            found += np.log(first * inside)
    return found


@compiled(inline=True)
def _starts(f: Form, o: Pair, k: int) -> Any:
    """Starts within the array, at least; or as many as there may be above it."""
    if f.starts >= OUTER:
        return o.steps[k, PADS + f.starts - OUTER]
    return o.tiles[k, ABOVE] if f.starts >= 0 else 1


@compiled(inline=True)
def _rows(n: Numbers, f: Form, axis: int, o: Pair, pad: int) -> Any:
    """The same of an ifmap's rows (columns)."""
    x, y = _starts(f, o, 0), _starts(f, o, 1)
    a, b = o.way[0, pad], o.way[1, pad]
    if n.shared[IFMAP]:
        a = min(a * o.way[0, PLACES], n.bounds[n.first[axis]])
        b = min(b * o.way[1, PLACES], n.bounds[n.second[axis]])
    first = np.log(extent(n, axis, a, b))
    if f.starts >= OUTER:
        return min(first + np.log(x * y), rows(n, axis, x, y))
    return min(first, n.each_h[x, y] if axis == 0 else n.each_w[x, y])
