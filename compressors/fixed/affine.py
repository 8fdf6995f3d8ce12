"""Affine integers, real = S (q - Z), in integer arithmetic alone.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", arXiv:1712.05877, Sec. 2.2 to 2.4, as gemmlowp and TensorFlow Lite compute.
"""

from dataclasses import dataclass
from math import frexp

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError

Integers = NDArray[np.int64]
INT32 = (-(1 << 31), (1 << 31) - 1)


@dataclass(frozen=True)
class Multiplier:
    """m0 * 2^-31 * 2^-shift, with m0 a 32-bit number of at least 2^30."""

    m0: int
    shift: int

    def __call__(self, sums: Integers) -> Integers:
        """The products with 32-bit sums, rounded to whole numbers, as the instructions round.

        First sqrdmulh, the high half of the doubled product, rounded; then a rounding shift, which
        breaks ties away from zero.
        """
        product = sums * self.m0
        nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
        high: Integers = np.sign(nudged) * (np.abs(nudged) >> 31)
        mask = (1 << self.shift) - 1
        threshold = (mask >> 1) + (high < 0)
        found: Integers = (high >> self.shift) + ((high & mask) > threshold)
        return found


def multiplier_of(real: float) -> Multiplier:
    """The nearest multiplier to a number between 0 and 1. Raises InputError for any other."""
    if not 0 < real < 1:
        raise InputError(f"multiplier = {real}: must be between 0 and 1")
    mantissa, exponent = frexp(real)
    return Multiplier(min(round(mantissa * (1 << 31)), (1 << 31) - 1), -exponent)


def sums_of_products(
    ifmap: Integers, weight: Integers, *, ifmap_zero: int, weight_zero: int
) -> Integers:
    """sum (qx - Zx)(qw - Zw) of codes N x n and K x n, as N x K.

    By the identity sum qx qw - Zw sum qx - Zx sum qw + n Zx Zw, so that the inner loop multiplies
    bytes; the sums over weights are known beforehand.
    """
    products = ifmap @ weight.T
    rows = ifmap.sum(1, keepdims=True) * weight_zero
    columns = weight.sum(1) * ifmap_zero
    found: Integers = products - rows - columns + ifmap.shape[1] * ifmap_zero * weight_zero
    return found


def requantised(
    sums: Integers, multiplier: Multiplier, *, zero: int, low: int = 0, high: int = 255
) -> Integers:
    """32-bit sums as codes of the next layer. Raises InputError where they are wider."""
    if sums.min() < INT32[0] or sums.max() > INT32[1]:
        raise InputError("sums of products: do not fit 32 bits")
    found: Integers = (multiplier(sums) + zero).clip(low, high)
    return found
