"""The alternating direction method of multipliers, for weights that shall lie in a set of codes.

Leng, Dou, Li, Zhu and Jin, "Extremely Low Bit Neural Network: Squeeze the Last Bit Out with ADMM",
AAAI 2018, Sec. 3: minimise f(W) + rho / 2 |W - G + L|^2 over W; project W + L onto the set, which
is G; add W - G to L. Steps of W may come in pairs: one predicts, the gradient there corrects it.

Three things bring that to an end within few epochs. The quadratic is minimised exactly after each
step of gradient descent, so that no rho is too large for the learning rate. Rho grows, and L, which
counts in units of 1 / rho, shrinks with it (Boyd et al., "Distributed Optimization and Statistical
Learning via the Alternating Direction Method of Multipliers", 2011, Sec. 3.4.1). L grows by a share
of W - G, since W is not minimised between two updates, but moved by a few steps.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from compressors._data import Data
from compressors._fit import Fit
from compressors.projectors._projector import Projector
from compressors.training.tuning import tune
from compressors.weights._form import latent_of


class Admm:
    """A solver for the weights of `layers`, which have no form but masks.

    Rho grows geometrically from the first to the second of `rho`. G and L are updated `updates`
    times, or after each step where there are fewer; L by `share` of W - G. `gaps` are the relative
    distances |W - G| / |W| after each update.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[str],
        projector: Projector,
        *,
        rho: tuple[float, float],
        share: float,
        updates: int,
        extragradient: bool,
    ) -> None:
        self.model = model
        self.weights = [latent_of(model.get_submodule(path)) for path in layers]
        self.moving = [p for p in model.parameters() if p.requires_grad]
        self.projector, self.ends, self.rho = projector, rho, rho[0]
        self.share, self.updates, self.extragradient = share, updates, extragradient
        self.duals = [torch.zeros_like(weight) for weight in self.weights]
        self.targets = [self._projected(weight) for weight in self.weights]
        self.before = [parameter.detach().clone() for parameter in self.moving]
        self.gaps: list[float] = []

    def _projected(self, weight: Tensor) -> Tensor:
        return self.projector.project(weight.detach()).decode()

    def train_(self, data: Data, settings: Fit) -> None:
        """A fit, with ADMM around its steps."""
        steps = settings.steps(len(data.images))

        def after_step(step: int) -> None:
            self.pull(settings.rate(step, steps) / (1 - settings.momentum))
            done = (step + 1) / steps
            if int(done * self.updates) > int(step / steps * self.updates):
                self.update(done)

        tune(self.model, data, settings, before_step=self.before_step, after_step=after_step)

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
    def pull(self, rate: float) -> None:
        """The proximal step of the quadratic: W to where 1/2 |W - w|^2 + rate rho / 2 |W - G + L|^2
        is least. With momentum m, `rate` is the learning rate over 1 - m, as in `proximal`.
        """
        weight_of_target = rate * self.rho / (1 + rate * self.rho)
        for weight, target, dual in zip(self.weights, self.targets, self.duals, strict=True):
            weight.lerp_(target - dual, weight_of_target)

    @torch.no_grad()
    def update(self, done: float) -> None:
        """Move G and L, and rho to where it is once this share of the training is done."""
        before, (first, last) = self.rho, self.ends
        self.rho = first * (last / first) ** done
        squares = torch.zeros(2)
        for index, weight in enumerate(self.weights):
            self.targets[index] = self._projected(weight + self.duals[index])
            gap = weight - self.targets[index]
            self.duals[index] += self.share * gap
            self.duals[index] *= before / self.rho
            squares += torch.stack([gap.square().sum(), weight.square().sum()])
        self.gaps.append(float((squares[0] / squares[1]).sqrt()))
