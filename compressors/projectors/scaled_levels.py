"""The nearest scale times {0, +-1, +-2, ..., +-2^last}, both scale and levels free.

"alternating" is what Leng et al. do ("Extremely Low Bit Neural Network: Squeeze the Last Bit Out
with ADMM", AAAI 2018, Sec. 3.2): the nearest levels for a scale, then the scale of least squares
for those levels, in turn. "exact" finds the best of all scales: as the scale falls, magnitudes
climb level by level in an order that is known, and each step of it is a candidate.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from compressors.codes._blocks import spread
from compressors.codes._code import Elementwise
from compressors.codes._level_sets import Integers, Powers
from compressors.codes.levels import Levels
from compressors.codes.scaled import Scaled
from compressors.projectors._blocks import BlockScope, block_shape, in_rows
from compressors.projectors._projector import Projector, power_scale


class ScaledLevels(Projector):
    """Levels of either sign up to 2^`last`; scales of float32, or on a grid of `scale_bits`."""

    last: Annotated[int, Field(ge=0, le=6)] = 1
    scope: BlockScope = "layer"
    group: Annotated[int, Field(ge=1)] = 4
    solver: Literal["exact", "alternating"] = "exact"
    rounds: Annotated[int, Field(ge=1)] = 20
    scale_bits: Annotated[int | None, Field(ge=2, le=16)] = None

    def project(self, weight: Tensor) -> Elementwise:
        blocks = block_shape(weight.shape, self.scope, self.group)
        magnitudes = in_rows(weight.double().abs(), blocks)
        if self.solver == "exact":
            found = best_scales(magnitudes, self.ladder)
        else:
            found = alternating_scales(magnitudes, self.ladder, rounds=self.rounds)[-1]
        scales = found.reshape(blocks).float()
        if self.scale_bits is None:
            return Levels(self._indices(weight, scales), self.levels, scales)
        top = 2**self.scale_bits - 1
        step, grid = power_scale(scales, reach=top), Integers(low=0, high=top)
        coded = Levels(grid.nearest(scales / step), grid, step)
        return Scaled(Levels(self._indices(weight, coded.decode()), self.levels), coded)

    def _indices(self, weight: Tensor, scales: Tensor) -> Tensor:
        each = spread(scales.double(), weight.shape)
        return self.levels.nearest(torch.where(each > 0, weight.double() / each, 0.0))

    @property
    def levels(self) -> Powers:
        """The levels before they are scaled."""
        return Powers(first=0, last=self.last)

    @property
    def ladder(self) -> Tensor:
        """Zero and the positive levels."""
        return self.levels.values[self.last + 1 :]


def best_scales(magnitudes: Tensor, ladder: Tensor) -> Tensor:
    """The scale of least squared error for each row of [rows, elements]; 0 for one of zeros.

    With levels q the error is |m|^2 - (m q)^2 / q^2, so that the last term is to be greatest.
    """
    middles, climbs = (ladder[1:] + ladder[:-1]) / 2, ladder.diff()
    order = (magnitudes[:, :, None] / middles).flatten(1)
    order = order.argsort(stable=True, dim=1, descending=True)
    products = (magnitudes[:, :, None] * climbs).flatten(1).gather(1, order).cumsum(1)
    squares = ladder.square().diff().expand(*magnitudes.shape, -1).flatten(1)
    norms = squares.gather(1, order).cumsum(1)
    best = (products.square() / norms).argmax(1, keepdim=True)
    return (products.gather(1, best) / norms.gather(1, best)).flatten()


def alternating_scales(magnitudes: Tensor, ladder: Tensor, *, rounds: int) -> list[Tensor]:
    """The scales of each row after every round, from the one that reaches the largest."""
    scales = [magnitudes.amax(1) / ladder[-1]]
    for _ in range(rounds):
        each = scales[-1][:, None]
        ratios = torch.where(each > 0, magnitudes / each, 0.0)
        chosen = ladder[torch.bucketize(ratios, (ladder[1:] + ladder[:-1]) / 2)]
        norms = chosen.square().sum(1)
        fitted = (magnitudes * chosen).sum(1) / norms.clamp(min=1)
        scales.append(torch.where(norms > 0, fitted, scales[-1]))
    return scales
