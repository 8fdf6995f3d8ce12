"""Fixed point: integers times a step, which a rule finds from the weights of a block.

The step covers the largest magnitude, a percentile of the magnitudes, or leaves the least squared
error. A step that is a power of two makes an <IL, FL> number, as in Gupta et al., ICML 2015, and
Gysel, arXiv:1605.06402, Sec. 4.2. The search for the least error ends as Hwang and Sung's does
(SiPS 2014, Sec. 2.2): levels for the step, the best step for these levels, and again.
"""

from math import ceil
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from compressors.codes._blocks import spread
from compressors.codes._level_sets import Integers
from compressors.codes.levels import Levels
from compressors.projectors._projector import Projector, Scope, rows, scale_shape

Rule = Literal["max", "mse", "percentile"]
Percentile = Annotated[float, Field(gt=0, le=100)]
CANDIDATES = 50  # steps tried between that which covers all and none
FINER_POWERS = 8  # powers of two tried below that which covers all
ROUNDS = 5  # of levels for the step, the step for the levels


class Uniform(Projector):
    """Two's complement integers of `bits` bits, scaled by a step for the layer or each filter.

    `narrow` leaves out the least integer, so that the levels are symmetric: with two bits, -1, 0
    and 1. Raises nothing: weights that are all zero have step 1.
    """

    bits: Annotated[int, Field(ge=2, le=16)] = 8
    scope: Scope = "layer"
    rule: Rule = "max"
    percentile: Percentile = 99.9
    power_of_two: bool = False
    narrow: bool = False

    def project(self, weight: Tensor) -> Levels:
        levels = self.levels
        steps = self.steps(rows(weight.double(), self.scope)).float()
        steps = steps.reshape(scale_shape(weight, self.scope))
        numbers = weight.double() / spread(steps.double(), tuple(weight.shape))
        return Levels(levels.nearest(numbers), levels, steps)

    @property
    def levels(self) -> Integers:
        """The integers."""
        high = 2 ** (self.bits - 1) - 1
        return Integers(low=-high if self.narrow else -high - 1, high=high)

    def steps(self, blocks: Tensor) -> Tensor:
        """The step of each block; `blocks` is float64 [blocks, elements]."""
        reach = self._reach(blocks)
        step = torch.where(reach > 0, reach / self.levels.high, 1.0)
        if self.power_of_two:
            step = torch.exp2(torch.ceil(torch.log2(step)))
        return self._least_error(blocks, step) if self.rule == "mse" else step

    def _reach(self, blocks: Tensor) -> Tensor:
        """The magnitude that the largest integer stands for."""
        magnitudes = blocks.abs()
        if self.rule != "percentile":
            return magnitudes.max(1).values
        rank = ceil(blocks.shape[1] * self.percentile / 100)
        return magnitudes.kthvalue(max(1, rank), dim=1).values

    def _least_error(self, blocks: Tensor, widest: Tensor) -> Tensor:
        count = FINER_POWERS if self.power_of_two else CANDIDATES
        places = torch.arange(count, dtype=torch.float64)
        ratios = torch.exp2(-places) if self.power_of_two else 1 - places / count
        steps = widest * ratios[:, None]
        errors = torch.stack([self._error(blocks, step) for step in steps])
        best = steps.gather(0, errors.argmin(0)[None])[0]
        return best if self.power_of_two else self._refined(blocks, best)

    def _refined(self, blocks: Tensor, step: Tensor) -> Tensor:
        for _ in range(ROUNDS):
            integers = self._integers(blocks, step)
            power = integers.square().sum(1)
            step = torch.where(power > 0, (integers * blocks).sum(1) / power.clamp(min=1), step)
        return step

    def _integers(self, blocks: Tensor, step: Tensor) -> Tensor:
        return (blocks / step[:, None]).round().clamp(self.levels.low, self.levels.high)

    def _error(self, blocks: Tensor, step: Tensor) -> Tensor:
        return (self._integers(blocks, step) * step[:, None] - blocks).square().sum(1)
