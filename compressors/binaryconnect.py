"""BinaryConnect: weights are signs in both passes; what trains are real weights, clipped.

Courbariaux, Bengio and David, "BinaryConnect: Training Deep Neural Networks with binary weights
during propagations", NIPS 2015. Begins from the weights that the network has.
"""

from collections.abc import Sequence

from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED
from compressors._masks import refuse_masks
from compressors.weights._binary import Magnitude, binarise_, clipping

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """Signs times `magnitude`; the authors' code has both. "one" asks for batch normalisation.

    `stochastic` draws the signs while training, 1 with probability clip((w / H + 1) / 2, 0, 1).
    """

    magnitude: Magnitude = "glorot"
    stochastic: bool = False
    fit: Fit = Fit(epochs=4.0, learning_rate=0.05, weight_decay=0.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with binary weights, trained. Raises InputError for pruned layers."""
    assert data is not None
    assert data.labels is not None
    refuse_masks(model, layers, method="binaryconnect")
    for path in layers:
        binarise_(model.get_submodule(path), config.magnitude, stochastic=config.stochastic)
    clip = clipping(model, layers, config.magnitude)
    fit(model, data.images, data.labels, config.fit, after_step=clip)
    return model
