"""The LASSO, by coordinate descent on the normal equations, and its path to a number of terms.

min over b of 1/2 b' G b - c' b + l |b|_1 with G = Z'Z and c = Z'y (Tibshirani, 1996; Friedman,
Hastie and Tibshirani, 2010, Sec. 2.2).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SWEEPS, TOLERANCE = 1000, 1e-8
DECLINE, REACH, HALVINGS = 0.8, 1e-7, 50


@njit(cache=True)
def lasso(products: Floats, sums: Floats, penalty: float, start: Floats) -> Floats:
    """The minimiser, from `start`; `products` is G [m, m], `sums` is c [m]."""
    found = start.copy()
    rest = sums - products @ found
    for _ in range(SWEEPS):
        moved = 0.0
        for j in range(len(found)):
            if products[j, j] <= 0:
                continue
            pull = rest[j] + products[j, j] * found[j]
            value = np.sign(pull) * max(abs(pull) - penalty, 0.0) / products[j, j]
            step = value - found[j]
            if step != 0:
                found[j] = value
                rest -= products[j] * step
                moved = max(moved, abs(step))
        if moved <= TOLERANCE * np.abs(found).max():
            break
    return found


def sparse_coefficients(products: Floats, sums: Floats, count: int) -> tuple[Floats, float]:
    """The minimiser with at most `count` terms, and its penalty: down from where there is none,
    and by halving once there are too many.
    """
    least, best = float(np.abs(sums).max()), np.zeros_like(sums)
    floor, too_low = least * REACH, 0.0
    for _ in range(int(np.log(REACH) / np.log(DECLINE)) + HALVINGS):
        trial = float(np.sqrt(too_low * least)) if too_low else least * DECLINE
        if np.count_nonzero(best) == count or trial <= floor:
            break
        found = lasso(products, sums, trial, best)
        if np.count_nonzero(found) > count:
            too_low = trial
        else:
            least, best = trial, found
    return best, least
