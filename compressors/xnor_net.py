"""XNOR-Net: signs times the mean magnitude of a filter; with or without signs as inputs.

Rastegari, Ordonez, Redmon and Farhadi, "XNOR-Net: ImageNet Classification Using Binary
Convolutional Neural Networks", ECCV 2016. Binary weight networks are the mode without.
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
from compressors.projectors.signs import Signs
from compressors.weights._form import set_form_
from compressors.weights.straight_through import StraightThrough

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """`binary_inputs`: XNOR-Net, else a binary weight network.

    Inputs are normalised, then binarised; each position of the ofmap is multiplied by K, the mean
    magnitude of what it saw. `image_too` binarises what reads the image as well.
    """

    binary_inputs: bool = True
    image_too: bool = False
    fit: Fit = Fit(epochs=4.0, learning_rate=0.05, weight_decay=0.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with scaled signs, trained. Raises InputError for pruned layers."""
    assert data is not None
    assert data.labels is not None
    refuse_masks(model, layers, method="xnor_net")
    image = None if config.image_too else image_layer(model, layers, data.images)
    for path in layers:
        layer = model.get_submodule(path)
        set_form_(layer, StraightThrough(Signs(scope="filter")))
        if config.binary_inputs and path != image:
            quantise_input_(layer, Sign(sign_settings(layer, normalised=True, scaled=True)))
    fit(model, data.images, data.labels, config.fit)
    return model
