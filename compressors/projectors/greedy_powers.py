"""Sums of powers of two, each term nearest to what the terms before it left.

Gudovskiy and Rigazio, "ShiftCNN", arXiv:1706.02393, Sec. 3 and Alg. 1.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from compressors.codes._level_sets import Powers
from compressors.codes.levels import Levels
from compressors.codes.sums import Sums
from compressors.projectors._projector import Projector, power_scale


class GreedyPowers(Projector):
    """`terms` (N) codebooks of 2^`bits` - 1 levels (B): zero and, of either sign, M powers of two.

    The n-th codebook begins at 2^(1 - n): {0, +-2^(1-n), +-2^-n, ...}, all times the power of two
    that brings the largest weight into 0.75 to 1.5, in place of a division by it: a machine then
    needs no multiplier even for the scale.
    """

    terms: Annotated[int, Field(ge=1, le=8)] = 2
    bits: Annotated[int, Field(ge=2, le=6)] = 4

    def project(self, weight: Tensor) -> Sums:
        rest, codes = weight.double(), []
        scale = power_scale(rest, reach=1.5)
        for term in range(self.terms):
            levels = Powers(first=2 - 2 ** (self.bits - 1) - term, last=-term)
            codes.append(Levels(levels.nearest(rest / scale), levels, scale))
            rest = rest - codes[-1].decode()
        return Sums(tuple(codes))
