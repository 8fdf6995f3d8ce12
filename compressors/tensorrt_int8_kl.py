"""TensorRT's INT8: ranges of activations that lose the least information, without training.

Migacz, "8-bit Inference with TensorRT", GTC 2017. Weights: symmetric, the largest magnitude of each
filter. Activations: symmetric, clipped where the Kullback-Leibler divergence is least; no one value
counts for more than those beside it (`compressors.activations._ranges.without_spikes`).
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._layers import WEIGHTED, weight_of
from compressors.activations._ranges import Rule
from compressors.activations.uniform import DEFAULT_PERCENTILE, Settings, quantise_inputs_
from compressors.projectors.uniform import Uniform
from compressors.weights._form import set_form_
from compressors.weights.rounded import Rounded

NEEDS, TAKES = Needs.IMAGES, WEIGHTED
WEIGHTS = Uniform(bits=8, scope="filter", narrow=True)


class Config(hwsim.config.Config):
    """The first `images` calibrate; `rule` other than "kl" gives what it is compared with."""

    images: Annotated[int, Field(ge=1)] = 500
    rule: Rule = "kl"
    percentile: Annotated[float, Field(gt=0, le=100)] = DEFAULT_PERCENTILE


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with int8 weights for each filter, and int8 ifmaps."""
    assert data is not None
    activations = Settings(bits=8, rule=config.rule, percentile=config.percentile, signed=True)
    images = data.first(config.images).images
    quantise_inputs_(model, layers, activations, images, method="tensorrt_int8_kl")
    for path in layers:
        layer = model.get_submodule(path)
        set_form_(layer, Rounded(WEIGHTS.project(weight_of(layer).detach())))
    return model
