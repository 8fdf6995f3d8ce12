"""The LASSO, by coordinate descent on the normal equations, and its path to a number of terms.

min over b of 1/2 b' G b - c' b + l |b|_1 with G = Z'Z and c = Z'y (Tibshirani, 1996; Friedman,
Hastie and Tibshirani, 2010, Sec. 2.2).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SWEEPS, TOLERANCE = 1000, 1e-9
HALVINGS, REACH = 60, 1e-7


def lasso(products: Floats, sums: Floats, penalty: float, start: Floats) -> Floats:
    """The minimiser, from `start`; `products` is G [m, m], `sums` is c [m]."""
    found, diagonal = start.copy(), products.diagonal()
    for _ in range(SWEEPS):
        before = found.copy()
        for j in np.flatnonzero(diagonal > 0):
            rest = sums[j] - products[j] @ found + diagonal[j] * found[j]
            found[j] = np.sign(rest) * max(abs(rest) - penalty, 0.0) / diagonal[j]
        if np.abs(found - before).max() <= TOLERANCE * max(np.abs(found).max(), TOLERANCE):
            break
    return found


def sparse_coefficients(products: Floats, sums: Floats, count: int) -> tuple[Floats, float]:
    """The minimiser with at most `count` terms, and its penalty: the least found, by halving."""
    high = float(np.abs(sums).max())
    low, best = high * REACH, np.zeros_like(sums)
    for _ in range(HALVINGS if high > 0 else 0):
        middle = float(np.sqrt(low * high))
        found = lasso(products, sums, middle, best)
        if np.count_nonzero(found) > count:
            low = middle
            continue
        high, best = middle, found
        if np.count_nonzero(found) == count:
            break
    return best, high
