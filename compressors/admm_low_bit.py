"""Extremely low bits by ADMM: weights are drawn to a scale times {0, +-1, +-2, ...} while training.

Leng, Dou, Li, Zhu and Jin, "Extremely Low Bit Neural Network: Squeeze the Last Bit Out with ADMM",
AAAI 2018 (arXiv:1707.09870).
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, settle_batch_norms
from compressors._layers import WEIGHTED
from compressors.projectors._projector import Scope
from compressors.projectors.scaled_levels import ScaledLevels
from compressors.training.admm import Admm
from compressors.training.tuning import tune
from compressors.weights._form import set_form_
from compressors.weights.free import Free
from compressors.weights.straight_through import StraightThrough

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """Levels up to 2^`last` (0 is ternary), `rho`, steps between updates, and the training.

    The product of rho, rate and steps is how far weights come to the set: where it is small, they
    end off it, and multipliers pile up; where the rate is high, networks without batch
    normalisation diverge; where rho is, weights are on the set before the loss has moved them.
    """

    last: Annotated[int, Field(ge=0, le=4)] = 0
    scope: Scope = "layer"
    rho: Annotated[float, Field(gt=0)] = 1.0
    period: Annotated[int, Field(ge=1)] = 8
    extragradient: bool = True
    fit: Fit = Fit(epochs=3.0, learning_rate=0.02, momentum=0.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with weights of the set, the network trained towards it."""
    projector = ScaledLevels(last=config.last, scope=config.scope, solver="alternating")
    for path in layers:
        set_form_(model.get_submodule(path), Free())
    solver = Admm(
        model,
        layers,
        projector,
        rho=config.rho,
        period=config.period,
        extragradient=config.extragradient,
    )
    tune(
        model,
        data,
        config.fit,
        penalty=solver.penalty,
        before_step=solver.before_step,
        after_step=solver.after_step,
    )
    for path in layers:
        set_form_(model.get_submodule(path), StraightThrough(projector))
    assert data is not None
    settle_batch_norms(model, data.images, batch=config.fit.batch)
    return model
