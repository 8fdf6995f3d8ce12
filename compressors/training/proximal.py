"""Penalties that make exact zeros: after each step of gradient descent, the penalty's own step.

Forward-backward splitting: w <- prox(w - eta g), prox(v) = argmin_w 1/2 |w - v|^2 + t R(w), with
t = eta * strength (Parikh and Boyd, "Proximal Algorithms", 2014, Sec. 4.2 and 6.5). With momentum
m, eta is the learning rate over 1 - m, which is how far a gradient moves a weight in the end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from compressors._data import Data
from compressors._fit import Fit, fit
from compressors.pruning.granularity import Granularity
from compressors.pruning.targets import Target
from compressors.weights._form import latent_of

Norm = Literal["l0", "l1", "l2"]
Prox = Callable[[Tensor, float], Tensor]


def soft_threshold(values: Tensor, step: float) -> Tensor:
    """Of R = ||w||_1: every magnitude less by `step`, 0 where it was no larger."""
    return values.sign() * (values.abs() - step).clamp(min=0)


def hard_threshold(values: Tensor, step: float) -> Tensor:
    """Of R = ||w||_0: 0 where w^2 <= 2 `step`."""
    return torch.where(values.square() > 2 * step, values, 0.0)


def shrink(values: Tensor, step: float) -> Tensor:
    """Of R = ||w||_2^2: all weights less in proportion, none zero."""
    return values / (1 + 2 * step)


PROX: dict[Norm, Prox] = {"l0": hard_threshold, "l1": soft_threshold, "l2": shrink}


@dataclass(frozen=True)
class GroupLasso:
    """Of R = sum over groups of sqrt(size) ||w_g||_2: a group's norm less, or all of it zero.

    Yuan and Lin, 2006; the root of the size makes groups of any size alike.
    """

    granularity: Granularity

    def __call__(self, values: Tensor, step: float) -> Tensor:
        norms = self.granularity.sums(values.square()).sqrt()
        thresholds = step * self.granularity.sums(torch.ones_like(values)).sqrt()
        kept = torch.where(norms > thresholds, 1 - thresholds / norms.clamp(min=1e-30), 0.0)
        return values * self.granularity.spread(kept, tuple(values.shape)).to(values.dtype)


@dataclass(frozen=True, eq=False)
class Penalty:
    """`strength` times what `prox` belongs to, on a tensor that is a free float."""

    target: Target
    prox: Prox
    strength: float


def train_(model: nn.Module, data: Data, settings: Fit, penalties: Sequence[Penalty]) -> None:
    """A fit with the step of each penalty, in this order, behind every one of its own."""
    assert data.labels is not None
    steps = settings.steps(len(data.images))

    def after_step(step: int) -> None:
        rate = settings.rate(step, steps) / (1 - settings.momentum)
        with torch.no_grad():
            for one in penalties:
                latent = latent_of(one.target.layer, one.target.tensor)
                latent.copy_(one.prox(latent, rate * one.strength))

    fit(model, data.images, data.labels, settings, after_step=after_step)
