"""Training in 16-bit fixed point with stochastic rounding.

Gupta, Agrawal, Gopalakrishnan and Narayanan, "Deep Learning with Limited Numerical Precision", ICML
2015. Products are summed in wide accumulators, which are rounded once.
"""

from collections.abc import Sequence
from math import ldexp
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, Hook, fit
from compressors._layers import WEIGHTED, weight_of
from compressors.activations.uniform import Settings, quantise_inputs_
from compressors.codes._level_sets import Integers
from compressors.codes.levels import Levels
from compressors.gradients._backward import rounded_gradients
from compressors.gradients.fixed_point import FixedPoint
from compressors.weights._form import latent_of, set_form_
from compressors.weights.rounded import Rounded

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """Numbers of `bits` bits: weights and gradients with `fraction` of them behind the point.

    Ifmaps have as many before the point as calibration asks for. Weights and biases exist in this
    precision alone: after a step, what was added is rounded too.
    """

    bits: Annotated[int, Field(ge=4, le=16)] = 16
    fraction: Annotated[int, Field(ge=0, le=20)] = 14
    gradient_fraction: Annotated[int, Field(ge=0, le=30)] = 20
    rounding: Literal["stochastic", "nearest"] = "stochastic"
    fit: Fit = Fit(epochs=1.0, learning_rate=0.005, weight_decay=0.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers in fixed point, trained in it."""
    assert data is not None
    assert data.labels is not None
    drawn = config.rounding == "stochastic"
    activations = Settings(bits=config.bits, power_of_two=True, stochastic=drawn)
    quantise_inputs_(model, layers, activations, data.images, method="stochastic_rounding_gupta")
    parts = [model.get_submodule(path) for path in layers]
    for layer in parts:
        set_weights_(layer, config)
    gradients = FixedPoint(bits=config.bits, fraction=config.gradient_fraction, stochastic=drawn)
    weights = FixedPoint(bits=config.bits, fraction=config.fraction, stochastic=drawn)
    with rounded_gradients(parts, gradients):
        fit(model, data.images, data.labels, config.fit, after_step=rounding(parts, weights))
    return model


def set_weights_(layer: nn.Module, config: Config) -> None:
    """Weights on the grid, their latents too."""
    weight, most = weight_of(layer).detach(), 1 << (config.bits - 1)
    levels = Integers(low=-most, high=most - 1)
    step = torch.full([1] * weight.ndim, ldexp(1.0, -config.fraction))
    code = Levels(levels.nearest(weight.double() / step.double()), levels, step)
    set_form_(layer, Rounded(code))
    with torch.no_grad():
        latent_of(layer).copy_(code.decode())


def rounding(layers: Sequence[nn.Module], weights: FixedPoint) -> Hook:
    """After a step, rounds what has moved: the weights, and the biases."""

    def onto_grid(_: int) -> None:
        with torch.no_grad():
            for layer in layers:
                for numbers in (latent_of(layer), getattr(layer, "bias", None)):
                    if numbers is not None:
                        numbers.copy_(weights(numbers))

    return onto_grid
