"""A nest of the search written out: what each dimension does, no longer by number."""

import numpy as np
from numpy.typing import NDArray

from hwsim.search.jobs import Job
from hwsim.search.problem import Numbers
from hwsim.search.scores import ABOVE, NUMBER, SPLIT
from hwsim.search.tables import Tables
from hwsim.search.ways import WIDTH

Ints = NDArray[np.int64]
# What a row begins with, an axis each: places along x and y, and what both dimensions do within the
# array; their tiles above it follow, those before the first store first.
X, Y, WITHIN = 0, 1, 2
TILES = WITHIN + 2 * WIDTH


def written(n: Numbers, t: Tables, job: Job, leaf: Ints) -> Ints:
    """A nest of a structure's options [axis, LEAF] as rows [axis, column]."""
    stores = job.form.tensors.size
    found = np.ones((len(leaf), TILES + 2 * (stores + 1)), np.int64)
    for axis, (own, row, to) in enumerate(zip(job.options, leaf, found, strict=True)):
        to[:WITHIN] = t.splits[t.starts[axis] + own.spread[row[NUMBER]], row[SPLIT]]
        to[WITHIN:TILES] = own.ways[row[NUMBER]].ravel()
        for dim, d in enumerate((n.first[axis], n.second[axis])):
            if d >= 0:
                numbers = row[ABOVE + dim : ABOVE + 2 * (stores + 1) : 2]
                to[TILES + dim :: 2] = n.sizes[d, numbers]
    return found
