"""HORQ: binary weights beside ifmaps that are sums of binary ones; an xnor product for each.

Li, Ni, Zhang, Yang and Gao, ICCV 2017. The paper scales each column of the unrolled ifmap; here all
of an image's columns share a scale, so that the signs need be found once. Linear layers are the
paper's.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED
from compressors._masks import refuse_masks
from compressors.activations._calibrate import image_layer
from compressors.activations._quantiser import quantise_input_
from compressors.activations.residual_binary import ResidualBinary, Settings
from compressors.activations.sign import sign_settings
from compressors.projectors.signs import Signs
from compressors.weights._form import set_form_
from compressors.weights.straight_through import StraightThrough

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """So many terms of each ifmap; the layer that reads the image reads floats."""

    order: Annotated[int, Field(ge=1, le=8)] = 2
    fit: Fit = Fit(epochs=4.0, learning_rate=0.05, weight_decay=0.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with scaled signs, trained. Raises InputError for pruned layers."""
    assert data is not None
    assert data.labels is not None
    refuse_masks(model, layers, method="horq_net")
    image = image_layer(model, layers, data.images)
    for path in layers:
        layer = model.get_submodule(path)
        set_form_(layer, StraightThrough(Signs(scope="filter")))
        if path != image:
            fitting = sign_settings(layer, normalised=True)
            settings = Settings(order=config.order, channels=fitting.channels, axis=fitting.axis)
            quantise_input_(layer, ResidualBinary(settings))
    fit(model, data.images, data.labels, config.fit)
    return model
