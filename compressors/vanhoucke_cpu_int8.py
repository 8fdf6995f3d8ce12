"""Eight bits for SIMD on CPUs: signed weights, unsigned activations, 32-bit sums.

Vanhoucke, Senior and Mao, "Improving the speed of neural networks on CPUs", NIPS 2011 workshop.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._layers import WEIGHTED, weight_of
from compressors.activations._calibrate import image_layer
from compressors.activations._quantiser import input_quantiser
from compressors.activations.uniform import Settings, Uniform, quantise_inputs_
from compressors.projectors.uniform import Uniform as Levels
from compressors.weights._form import code_of, set_form_
from compressors.weights.rounded import Rounded

NEEDS, TAKES = Needs.IMAGES, WEIGHTED
WEIGHTS = Levels(bits=8, narrow=True)
WORD_MOST = 32767  # of a signed word of 16 bits


class Config(hwsim.config.Config):
    """The layer that reads the image reads floats, unless not `float_image`."""

    float_image: bool = True


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with int8 weights at one scale each, and uint8 ifmaps."""
    assert data is not None
    image = image_layer(model, layers, data.images) if config.float_image else None
    rounded = [path for path in layers if path != image]
    quantise_inputs_(model, rounded, Settings(bits=8), data.images, method="vanhoucke_cpu_int8")
    for path in layers:
        layer = model.get_submodule(path)
        set_form_(layer, Rounded(WEIGHTS.project(weight_of(layer).detach())))
        round_bias_(layer)
    return model


def round_bias_(layer: nn.Module) -> None:
    """Round a layer's bias to the step of its 32-bit sums, where both operands have one."""
    code, quantiser = code_of(layer), input_quantiser(layer)
    bias = getattr(layer, "bias", None)
    if bias is None or not isinstance(quantiser, Uniform) or "scales" not in code.parts.tables:
        return
    step = code.parts.tables["scales"].double() * quantiser.step.double()
    with torch.no_grad():
        bias.copy_(torch.round(bias.double() / step).clamp(-(2**31), 2**31 - 1) * step)


def may_saturate(weights: NDArray[np.int64]) -> NDArray[np.bool_]:
    """For each output, whether adding pairs of products in 16 bits can saturate.

    `weights` are int8 codes [outputs, inputs]. The instruction pmaddubsw multiplies bytes, the
    activations' unsigned, and adds neighbours in a signed word: 255 (a + b) must fit.
    """
    pairs = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2))).reshape(len(weights), -1, 2)
    highest = 255 * np.maximum(pairs, 0).sum(2)
    lowest = 255 * np.minimum(pairs, 0).sum(2)
    found: NDArray[np.bool_] = ((highest > WORD_MOST) | (lowest < -WORD_MOST - 1)).any(1)
    return found


def requested(layer: nn.Linear, ifmap: Tensor, outputs: Sequence[int]) -> Tensor:
    """Only some of a linear layer's outputs, N x requested: the last layer, lazily evaluated."""
    rows = torch.as_tensor(outputs)
    bias = None if layer.bias is None else layer.bias[rows]
    return nn.functional.linear(ifmap, layer.weight[rows], bias)
