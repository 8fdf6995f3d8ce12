"""Powers of two and zero: multiplications by weights become shifts.

Zhou et al., "Incremental Network Quantization", ICLR 2017, Sec. 2.1; Gysel, "Ristretto",
arXiv:1605.06402, Sec. 4.4.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from compressors.codes._level_sets import Powers as PowerSet
from compressors.codes.levels import Levels
from compressors.projectors._projector import Projector


class Powers(Projector):
    """Zero and, of either sign, the `ladder` powers of two up to the one nearest the largest.

    The largest is 2^n1 with n1 = floor(log2(4 s / 3)), s the largest magnitude. `bits` tell one
    level from another; by default the ladder is as long as they allow, 2^(bits - 1) - 1.
    """

    bits: Annotated[int, Field(ge=2, le=7)] = 4
    ladder: Annotated[int, Field(ge=1, le=63)] | None = None

    @property
    def levels(self) -> PowerSet:
        """The levels of weights whose largest power of two is 1."""
        most = 2 ** (self.bits - 1) - 1
        return PowerSet(first=1 - min(self.ladder or most, most), last=0)

    def project(self, weight: Tensor) -> Levels:
        levels, largest = self.levels, weight.double().abs().max()
        power = torch.exp2(torch.floor(torch.log2(4 * largest / 3)))
        scale = torch.where(largest > 0, power, 1.0).reshape([1] * weight.ndim)
        return Levels(levels.nearest(weight.double() / scale), levels, scale)
