"""Sums of signs, each times its scale: what one leaves, the next takes.

Guo, Yao, Zhao and Chen, "Network Sketching", CVPR 2017 (arXiv:1706.02021), Alg. 1 and 2.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from compressors.codes._level_sets import Signs
from compressors.codes.levels import Levels
from compressors.codes.sums import Sums
from compressors.projectors._projector import Projector, Scope, rows, scale_shape


class ResidualSigns(Projector):
    """`terms` binary tensors and as many scales for each filter or the layer.

    Each term is the signs of what is left. Directly, its scale is their mean agreement with it;
    `refined`, all scales so far are solved for again in the sense of least squares.
    """

    terms: Annotated[int, Field(ge=1, le=8)] = 2
    refined: bool = True
    scope: Scope = "filter"

    def project(self, weight: Tensor) -> Sums:
        targets = rows(weight.double(), self.scope)
        rest, planes = targets, []
        scales: list[Tensor] = []
        for _ in range(self.terms):
            planes.append(Signs().nearest(rest))
            signs = torch.stack(planes, 2).double() * 2 - 1
            scales = self._scales(signs, targets, rest, scales)
            rest = targets - (signs @ torch.stack(scales, 1)[:, :, None])[:, :, 0]
        shape = scale_shape(weight, self.scope)
        pairs = zip(planes, scales, strict=True)
        return Sums(
            tuple(Levels(p.reshape(weight.shape), Signs(), s.reshape(shape)) for p, s in pairs)
        )

    def _scales(
        self, signs: Tensor, targets: Tensor, rest: Tensor, before: list[Tensor]
    ) -> list[Tensor]:
        """The scales [rows] of all planes so far; `signs` is [rows, elements, planes]."""
        if not self.refined:
            return [*before, (signs[:, :, -1] * rest).mean(1)]
        return list(torch.unbind(least_squares(signs, targets), 1))


def least_squares(signs: Tensor, targets: Tensor) -> Tensor:
    """Scales [rows, planes]; planes that repeat others, as of a row all equal, get none."""
    normal = signs.transpose(1, 2) @ signs
    inverse: Tensor = torch.linalg.pinv(normal, hermitian=True)
    return (inverse @ (signs.transpose(1, 2) @ targets[:, :, None]))[:, :, 0]
