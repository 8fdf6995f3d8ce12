"""Training in 8 bits: weights, activations and gradients, with range normalisation.

Banner, Hubara, Hoffer and Soudry, "Scalable Methods for 8-bit Training of Neural Networks", NeurIPS
2018. The gradient of an ofmap is bifurcated: 8 bits of it go on to the layer before, 16 make the
weights' gradient.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED, weight_of
from compressors._range_norm import range_norms
from compressors.activations.uniform import Settings, quantise_inputs_
from compressors.gradients import affine as gradients
from compressors.gradients._backward import split_gradients
from compressors.projectors.affine import Affine
from compressors.weights._form import set_form_
from compressors.weights.rounded import Rounded

NEEDS, TAKES = Needs.LABELS, WEIGHTED
METHOD = "scalable_8bit_training"


class Config(hwsim.config.Config):
    """Bits of weights, ifmaps and gradients, and of the gradients' copy for the weights."""

    bits: Annotated[int, Field(ge=4, le=16)] = 8
    weight_gradient_bits: Annotated[int, Field(ge=4, le=16)] = 16
    range_norm: bool = True
    fit: Fit = Fit(epochs=1.0, learning_rate=0.01)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with affine weights and ifmaps, trained with gradients of few bits."""
    assert data is not None
    assert data.labels is not None
    activations = Settings(bits=config.bits, affine=True)
    quantise_inputs_(model, layers, activations, data.images, method=METHOD)
    parts = [model.get_submodule(path) for path in layers]
    for layer in parts:
        code = Affine(bits=config.bits).project(weight_of(layer).detach())
        set_form_(layer, Rounded(code))
    onwards = gradients.Affine(bits=config.bits)
    here = gradients.Affine(bits=config.weight_gradient_bits)
    norms = range_norms(model) if config.range_norm else nullcontext()
    with norms, split_gradients(parts, for_ifmap=onwards, for_weight=here):
        fit(model, data.images, data.labels, config.fit)
    return model
