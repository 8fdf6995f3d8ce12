"""Binarized neural networks: weights and activations are signs.

Hubara, Courbariaux, Soudry, El-Yaniv and Bengio, NIPS 2016. The first layer reads 8-bit numbers.
Ordinary batch normalisation and momentum take the place of the paper's shift-based ones.
"""

from collections.abc import Sequence

from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED
from compressors._masks import refuse_masks
from compressors.activations._calibrate import image_layer
from compressors.activations._quantiser import quantise_input_
from compressors.activations.sign import Sign, sign_settings
from compressors.activations.uniform import Settings, quantise_inputs_
from compressors.weights._binary import Magnitude, binarise_, clipping

NEEDS, TAKES = Needs.LABELS, WEIGHTED
METHOD = "binarized_neural_network"


class Config(hwsim.config.Config):
    """Signs times `magnitude`. `normalised` puts a batch normalisation before the signs of ifmaps,
    which networks with rectifiers need.
    """

    magnitude: Magnitude = "glorot"
    normalised: bool = True
    fit: Fit = Fit(epochs=4.0, learning_rate=0.05, weight_decay=0.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with binary weights and ifmaps, trained. Raises InputError for pruned layers."""
    assert data is not None
    assert data.labels is not None
    refuse_masks(model, layers, method=METHOD)
    binarise_inputs_(model, layers, data, normalised=config.normalised)
    for path in layers:
        binarise_(model.get_submodule(path), config.magnitude)
    clip = clipping(model, layers, config.magnitude)
    fit(model, data.images, data.labels, config.fit, after_step=clip)
    return model


def binarise_inputs_(
    model: nn.Module, layers: Sequence[str], data: Data, *, normalised: bool
) -> None:
    """Let all layers read signs, but for the one that reads the image: it reads 8 bits."""
    image = image_layer(model, layers, data.images)
    for path in layers:
        layer = model.get_submodule(path)
        if path != image:
            quantise_input_(layer, Sign(sign_settings(layer, normalised=normalised)))
    if image:
        quantise_inputs_(model, [image], Settings(bits=8), data.images, method=METHOD)
