"""Neural networks with few multiplications: weights drawn from -1, 0 and 1, and quantised
back-propagation, where the ifmap of a weight's gradient is a power of two.

Lin, Courbariaux, Memisevic and Bengio, ICLR 2016, arXiv:1510.03009.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED
from compressors._masks import refuse_masks
from compressors.gradients._backward import split_gradients
from compressors.gradients.powers import Powers
from compressors.weights._binary import Magnitude, binarise_, clipping

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """`connect`: levels -H, H or -H, 0, H, drawn while training, the nearest afterwards.

    Powers of two reach `depth` octaves below the largest.
    """

    connect: Literal["binary", "ternary"] = "ternary"
    magnitude: Magnitude = "glorot"
    depth: Annotated[int, Field(ge=0, le=60)] = 7
    fit: Fit = Fit(epochs=4.0, learning_rate=0.05, weight_decay=0.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with binary or ternary weights, trained almost without multiplications."""
    assert data is not None
    assert data.labels is not None
    zero = config.connect == "ternary"
    if not zero:
        refuse_masks(model, layers, method="neural_networks_few_multiplications")
    parts = [model.get_submodule(path) for path in layers]
    for layer in parts:
        binarise_(layer, config.magnitude, stochastic=True, zero=zero)
    clip = clipping(model, layers, config.magnitude)
    with split_gradients(parts, ifmap=Powers(depth=config.depth)):
        fit(model, data.images, data.labels, config.fit, after_step=clip)
    return model
