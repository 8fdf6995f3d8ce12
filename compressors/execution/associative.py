"""Sums with signs that share what they have in common.

Guo et al., "Network Sketching", CVPR 2017, Sec. 4: two binary vectors that differ in d places give
sums that differ by twice those d elements. Every vector is summed from the one that a tree of least
total difference puts before it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from scipy.spatial.distance import pdist, squareform

Signs = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Associative:
    """`planes` of -1 and 1 [vectors, elements] in `order`; `parents` [vectors], -1 for the first.

    `additions` is what all sums take: elements - 1 for the first, for others d + 1, with a shift.
    """

    planes: Signs
    order: NDArray[np.int64]
    parents: NDArray[np.int64]
    additions: int

    def sums(self, ifmap: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of every plane's signs times `ifmap` [elements, ...], [vectors, ...]."""
        found = np.zeros((len(self.planes), *ifmap.shape[1:]))
        for vector in self.order:
            parent = self.parents[vector]
            if parent < 0:
                found[vector] = np.tensordot(self.planes[vector], ifmap, 1)
                continue
            differ = self.planes[vector] != self.planes[parent]
            change = np.tensordot(self.planes[vector][differ], ifmap[differ], 1)
            found[vector] = found[parent] + 2 * change
        return found


def associative(planes: Signs) -> Associative:
    """The order of least additions for these planes, among all that go from vector to vector."""
    vectors, elements = planes.shape
    if vectors == 1:
        return Associative(planes, np.zeros(1, np.int64), np.full(1, -1), elements - 1)
    costs = np.rint(squareform(pdist(planes, "hamming")) * elements) + 1
    tree = minimum_spanning_tree(costs - np.diag(np.diag(costs)))
    order, parents = breadth_first_order(tree, 0, directed=False)
    own = np.where(parents < 0, -1, parents).astype(np.int64)
    return Associative(planes, order.astype(np.int64), own, elements - 1 + int(tree.sum()))
