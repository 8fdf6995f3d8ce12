"""Weights of five levels, -2 to 2 times a scale: ternary weights and, by a shift, twice those.

The levels of Leng et al., AAAI 2018, trained straight through as Li et al. train ternary ones
(arXiv:1605.04711); scale and levels are those of least squared error.
"""

from collections.abc import Sequence

from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors.projectors._projector import Scope
from compressors.projectors.scaled_levels import ScaledLevels
from compressors.training.tuning import tune
from compressors.weights._form import set_form_
from compressors.weights.straight_through import StraightThrough

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """A scale for the layer or each filter, and the training."""

    scope: Scope = "layer"
    fit: Fit = Fit(epochs=1.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with weights of five levels, the network trained with them."""
    projector = ScaledLevels(last=1, scope=config.scope)
    for path in layers:
        set_form_(model.get_submodule(path), StraightThrough(projector))
    return tune(model, data, config.fit)
