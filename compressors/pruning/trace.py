"""Sensitivity gathered while a network trains, without a pass over the data of its own.

Karnin, "A Simple Procedure for Pruning Back-Propagation Trained Neural Networks", IEEE Transactions
on Neural Networks 1(2), 1990, eqs. 7 to 11.
"""

import torch
from torch import Tensor, nn

from compressors._data import Data
from compressors.pruning.criteria import Criterion
from compressors.pruning.targets import Target
from compressors.weights._form import latent_of


class Trace(Criterion):
    """Hooks of a fit that sum - dE/dw dw over its steps, for each weight of some targets.

    The weights are free floats: their latents are what moves.
    """

    def __init__(self, found: list[Target]) -> None:
        self.latents = [latent_of(target.layer, target.tensor) for target in found]
        self.first = self._now()
        self.sums = [torch.zeros_like(start) for start in self.first]
        self.before, self.slopes = self.first, self.sums

    def _now(self) -> list[Tensor]:
        return [latent.detach().clone() for latent in self.latents]

    def before_step(self, step: int) -> None:
        """Note the gradients and where the weights are."""
        self.before = self._now()
        self.slopes = [
            torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in self.latents
        ]

    def after_step(self, step: int) -> None:
        """Add what the step gained."""
        for total, slope, before, after in zip(
            self.sums, self.slopes, self.before, self._now(), strict=True
        ):
            total -= slope * (after - before)

    def scores(self, model: nn.Module, found: list[Target], data: Data | None) -> list[Tensor]:
        """An estimate of E(w = 0) - E(w) for each weight of the targets that were traced: the gain
        along the way that it went, w_i to w, extended to the way from 0 to w.

        0 for one that went nowhere, or from where the way to 0 would be a gain.
        """
        return [
            (total * _ratio(first, last)).clamp(min=0)
            for total, first, last in zip(self.sums, self.first, self._now(), strict=True)
        ]


def _ratio(first: Tensor, last: Tensor) -> Tensor:
    """w / (w - w_i), 0 where the way is none."""
    way = last - first
    return torch.where(way == 0, 0.0, last / torch.where(way == 0, 1.0, way))
