"""Affine integers: real = S (q - Z), with q of `bits` bits, unsigned, and Z one of them.

Jacob et al., arXiv:1712.05877, Sec. 2.1 and 3: the range includes zero, and zero is exact.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from compressors.codes._level_sets import Integers
from compressors.codes.levels import Levels
from compressors.projectors._projector import Projector


class Affine(Projector):
    """The least and the largest weight, or zero, are the ends of the range.

    The levels are q - Z, which is data: unlike others, this projector cannot be exported, and is
    for codes that are then held.
    """

    bits: Annotated[int, Field(ge=2, le=16)] = 8

    def project(self, weight: Tensor) -> Levels:
        least, largest = (float(end) for end in (weight.min().clamp(max=0), weight.max().clamp(0)))
        most = 2**self.bits - 1
        step = torch.tensor((largest - least) / most or 1.0, dtype=torch.float32)
        zero = round(-least / float(step))
        levels = Integers(low=-zero, high=most - zero)
        scale = step.reshape([1] * weight.ndim)
        return Levels(levels.nearest(weight.double() / scale.double()), levels, scale)
