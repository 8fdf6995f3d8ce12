"""Trained ternary quantisation: zero, and a learned scale for either sign.

Zhu, Han, Mao and Dally, "Trained Ternary Quantization", ICLR 2017 (arXiv:1612.01064).
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors.training.tuning import tune
from compressors.weights._form import set_form_
from compressors.weights.trained_ternary import TrainedTernary

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """The threshold as a share of a layer's largest magnitude, and the training."""

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.05
    fit: Fit = Fit(epochs=1.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with ternary weights, the network and the scales trained."""
    for path in layers:
        set_form_(model.get_submodule(path), TrainedTernary(config.threshold))
    return tune(model, data, config.fit)
