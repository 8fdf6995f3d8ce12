"""Ternary weights: what exceeds a share of the mean magnitude, as signs times a scale.

Li, Zhang and Liu, "Ternary Weight Networks", arXiv:1605.04711, Sec. 2.2: the threshold is 0.7 times
the mean magnitude (eq. 6), the scale the mean magnitude of what exceeds it (eq. 5).
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from compressors.codes._blocks import spread
from compressors.codes._level_sets import Powers
from compressors.codes.levels import Levels
from compressors.projectors._blocks import BlockScope, block_shape, in_rows
from compressors.projectors._projector import Projector


class Ternary(Projector):
    """-1, 0 and 1, times a scale for the layer, each filter or each `group` of input channels."""

    scope: BlockScope = "layer"
    group: Annotated[int, Field(ge=1)] = 4
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.7

    def project(self, weight: Tensor) -> Levels:
        blocks = block_shape(weight.shape, self.scope, self.group)
        magnitudes = weight.double().abs()
        sizes = in_rows(torch.ones_like(magnitudes), blocks).sum(1)
        limits = self.threshold * in_rows(magnitudes, blocks).sum(1) / sizes
        kept = magnitudes > spread(limits.reshape(blocks), weight.shape)
        sums = in_rows(magnitudes * kept, blocks).sum(1)
        scales = sums / in_rows(kept.double(), blocks).sum(1).clamp(min=1)
        indices = (weight.sign() * kept).long() + 1
        return Levels(indices, Powers(first=0, last=0), scales.reshape(blocks))
