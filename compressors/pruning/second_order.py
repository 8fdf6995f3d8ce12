"""Saliency by the diagonal of the Hessian.

LeCun, Denker and Solla, "Optimal Brain Damage", NIPS 1989, eqs. 3 to 5: at a minimum the loss of
weight k raises the error by h_kk w_k^2 / 2, with the Gauss-Newton approximation of h_kk.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from compressors._data import Data
from compressors.pruning.criteria import Criterion
from compressors.pruning.probe import Factors, slopes, softmax_factors
from compressors.pruning.targets import Target
from hwsim.config import Config

IMAGES_AT_ONCE = 32


class DiagonalHessian(Config, Criterion):
    """h_kk w_k^2 / 2, from the first so many images; labels do not matter to it."""

    images: int = Field(default=256, ge=1)

    def scores(self, model: nn.Module, found: list[Target], data: Data | None) -> list[Tensor]:
        assert data is not None
        curvatures = diagonal(model, found, data.first(self.images).images)
        return [h * t.value.square() / 2 for h, t in zip(curvatures, found, strict=True)]


def diagonal(
    model: nn.Module,
    found: list[Target],
    images: Tensor,
    factors: Factors = softmax_factors,
) -> list[Tensor]:
    """The Gauss-Newton Hessian's diagonal of the mean loss, of each target's shape."""
    layers, sums = [target.layer for target in found], [torch.zeros(())] * len(found)
    for part in torch.split(images, IMAGES_AT_ONCE):
        for rows in slopes(model, layers, part, factors):
            sums = [s + row.square().sum(0) for s, row in zip(sums, rows, strict=True)]
    return [s / len(images) for s in sums]
