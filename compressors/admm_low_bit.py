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
from compressors.weights._form import set_form_
from compressors.weights.free import Free
from compressors.weights.straight_through import StraightThrough

NEEDS, TAKES = Needs.LABELS, WEIGHTED


Rho = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Config(hwsim.config.Config):
    """Levels up to 2^`last` (0 is ternary); how `rho` grows over the training; the share of a gap
    that multipliers grow by; how often; and the training.

    Rho begins so small that the loss moves the weights, and ends so large that they are in the set.
    """

    last: Annotated[int, Field(ge=0, le=4)] = 0
    scope: Scope = "layer"
    rho: tuple[Rho, Rho] = (0.02, 60.0)
    share: Annotated[float, Field(ge=0, le=1)] = 0.4
    updates: Annotated[int, Field(ge=1)] = 32
    extragradient: bool = False
    fit: Fit = Fit(epochs=3.0, learning_rate=0.02)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with weights of the set, the network trained towards it."""
    assert data is not None
    projector = ScaledLevels(last=config.last, scope=config.scope, solver="alternating")
    for path in layers:
        set_form_(model.get_submodule(path), Free())
    solver = Admm(
        model,
        layers,
        projector,
        rho=config.rho,
        share=config.share,
        updates=config.updates,
        extragradient=config.extragradient,
    )
    solver.train_(data, config.fit)
    for path in layers:
        set_form_(model.get_submodule(path), StraightThrough(projector))
    settle_batch_norms(model, data.images, batch=config.fit.batch)
    return model
