"""TensorFlow's affine uint8: real = S (q - Z), with zero exact, for integer-only arithmetic.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", arXiv:1712.05877. `compressors.fixed.affine` has the integer arithmetic.
"""

from collections.abc import Sequence
from typing import Literal

from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED, weight_of
from compressors.activations.uniform import Settings, quantise_inputs_
from compressors.projectors.affine import Affine
from compressors.weights._form import set_form_
from compressors.weights.rounded import Rounded
from hwsim.errors import InputError

NEEDS, TAKES = Needs.IMAGES, WEIGHTED


class Config(hwsim.config.Config):
    """Ranges of ifmaps: all that calibration saw, or a running average of each batch's ends.

    `fit` trains through the rounding, if any; it needs labels. The paper's training is far longer.
    """

    ranges: Literal["max", "ema"] = "ema"
    fit: Fit = Fit(epochs=0.0, learning_rate=0.001)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with affine uint8 weights and ifmaps."""
    assert data is not None
    if config.fit.epochs and data.labels is None:
        raise InputError("tensorflow_fixed_point_ops: fit: needs labels: the data has none")
    activations = Settings(bits=8, rule=config.ranges, affine=True)
    quantise_inputs_(model, layers, activations, data.images, method="tensorflow_fixed_point_ops")
    for path in layers:
        layer = model.get_submodule(path)
        set_form_(layer, Rounded(Affine().project(weight_of(layer).detach())))
    if data.labels is not None:
        fit(model, data.images, data.labels, config.fit)
    return model
