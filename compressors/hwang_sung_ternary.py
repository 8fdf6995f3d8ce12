"""Ternary weights and signals of 3 bits, retrained with quantised forward passes.

Hwang and Sung, "Fixed-Point Feedforward Deep Neural Network Design Using Weights +1, 0, and -1",
IEEE SiPS 2014.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED, weight_of
from compressors.activations._calibrate import image_layer
from compressors.activations.uniform import Settings, quantise_inputs_
from compressors.projectors.uniform import Uniform
from compressors.weights._form import set_form_
from compressors.weights.rounded import Rounded

NEEDS, TAKES = Needs.LABELS, WEIGHTED
METHOD = "hwang_sung_ternary"


class Config(hwsim.config.Config):
    """Steps of least squared error, found once: for weights of `bits`, -1, 0 and 1 with two, and
    for signals. The image has `image_bits`. `fit` retrains the float weights behind them.
    """

    bits: Annotated[int, Field(ge=2, le=8)] = 2
    signal_bits: Annotated[int, Field(ge=2, le=8)] = 3
    image_bits: Annotated[int, Field(ge=2, le=8)] = 8
    fit: Fit = Fit(epochs=4.0, learning_rate=0.05, weight_decay=0.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with ternary weights and ifmaps of a few levels, retrained."""
    assert data is not None
    assert data.labels is not None
    image = image_layer(model, layers, data.images)
    for some, bits in (
        ([path for path in layers if path != image], config.signal_bits),
        ([image] if image else [], config.image_bits),
    ):
        quantise_inputs_(model, some, Settings(bits=bits, rule="mse"), data.images, method=METHOD)
    for path in layers:
        layer = model.get_submodule(path)
        levels = Uniform(bits=config.bits, rule="mse", narrow=True)
        set_form_(layer, Rounded(levels.project(weight_of(layer).detach())))
    fit(model, data.images, data.labels, config.fit)
    return model
