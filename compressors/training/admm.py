"""The alternating direction method of multipliers, for weights that shall lie in a set of codes.

Leng, Dou, Li, Zhu and Jin, "Extremely Low Bit Neural Network: Squeeze the Last Bit Out with ADMM",
AAAI 2018, Sec. 3: minimise f(W) + rho / 2 |W - G + L|^2 over W; project W + L onto the set, which
is G; add W - G to L. Steps of W come in pairs: one predicts, the gradient there corrects the first.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from compressors.projectors._projector import Projector
from compressors.weights._form import latent_of


class Admm:
    """Hooks of `fit` for the weights of `layers`, which have no form but masks.

    G and L are updated every `period` steps, each prediction and each correction counting as one.
    `gaps` are the relative distances |W - G| / |W| after each update.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[str],
        projector: Projector,
        *,
        rho: float,
        period: int,
        extragradient: bool,
    ) -> None:
        self.weights = [latent_of(model.get_submodule(path)) for path in layers]
        self.moving = [p for p in model.parameters() if p.requires_grad]
        self.projector, self.rho, self.period = projector, rho, period
        self.extragradient = extragradient
        self.duals = [torch.zeros_like(weight) for weight in self.weights]
        self.targets = [self._projected(weight) for weight in self.weights]
        self.before = [parameter.detach().clone() for parameter in self.moving]
        self.gaps: list[float] = []

    def _projected(self, weight: Tensor) -> Tensor:
        return self.projector.project(weight.detach()).decode()

    def penalty(self) -> Tensor:
        """rho / 2 |W - G + L|^2, of all layers."""
        parts = zip(self.weights, self.targets, self.duals, strict=True)
        squares = [(weight - target + dual).square().sum() for weight, target, dual in parts]
        return self.rho / 2 * torch.stack(squares).sum()

    @torch.no_grad()
    def before_step(self, step: int) -> None:
        """Note where a prediction starts; let a correction start there too."""
        if not self.extragradient:
            return
        for parameter, before in zip(self.moving, self.before, strict=True):
            if step % 2:
                parameter.copy_(before)
            else:
                before.copy_(parameter)

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Now and then, move G and L."""
        if (step + 1) % self.period:
            return
        squares = torch.zeros(2)
        for index, weight in enumerate(self.weights):
            self.targets[index] = self._projected(weight + self.duals[index])
            gap = weight - self.targets[index]
            self.duals[index] += gap
            squares += torch.stack([gap.square().sum(), weight.square().sum()])
        self.gaps.append(float((squares[0] / squares[1]).sqrt()))
