"""DoReFa-Net: weights, activations and gradients of W, A and G bits.

Zhou, Wu, Ni, Zhou, Wen and Zou, "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks
with Low Bitwidth Gradients", arXiv:1606.06160.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED, weight_of
from compressors._masks import refuse_masks
from compressors.activations._calibrate import image_layer, observe
from compressors.activations._quantiser import quantise_input_
from compressors.activations._ranges import ends
from compressors.activations.uniform import Settings, Uniform
from compressors.gradients._backward import rounded_gradients
from compressors.gradients.dorefa import Dorefa
from compressors.projectors.signs import Signs
from compressors.weights._form import set_form_
from compressors.weights.squashed import Squashed
from compressors.weights.straight_through import StraightThrough

NEEDS, TAKES = Needs.LABELS, WEIGHTED
METHOD = "dorefa_net"
REACH = 99.0  # per cent of an ifmap that is not clipped, where it does not reach to 1
Bits = Annotated[int, Field(ge=1, le=8)] | None


class Config(hwsim.config.Config):
    """Bits of each; None leaves them in float. The layer that reads the image reads floats.

    `unit`: weights and activations reach to 1, as in the paper, which asks for batch normalisation
    everywhere; else as far as they did before.
    """

    weight_bits: Bits = 1
    activation_bits: Bits = 2
    gradient_bits: Bits = 6
    unit: bool = False
    fit: Fit = Fit(epochs=4.0, learning_rate=0.05, weight_decay=0.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with weights and ifmaps of so many bits, trained. Raises InputError for pruned
    layers: the levels have no zero.
    """
    assert data is not None
    assert data.labels is not None
    refuse_masks(model, layers, method=METHOD)
    if config.activation_bits:
        clip_inputs_(model, layers, config.activation_bits, data, unit=config.unit)
    for path in layers if config.weight_bits else ():
        set_weights_(model.get_submodule(path), config)
    parts = [model.get_submodule(path) for path in layers]
    bits = config.gradient_bits
    with rounded_gradients(parts, Dorefa(bits=bits)) if bits else nullcontext():
        fit(model, data.images, data.labels, config.fit)
    return model


def set_weights_(layer: nn.Module, config: Config) -> None:
    """One bit: signs times the layer's mean magnitude (eq. 8); more: squashed (eq. 9)."""
    assert config.weight_bits is not None
    if config.weight_bits == 1:
        set_form_(layer, StraightThrough(Signs(scope="layer")))
        return
    height = 1.0 if config.unit else float(torch.tanh(weight_of(layer).detach()).abs().max())
    set_form_(layer, Squashed(config.weight_bits, height or 1.0))


def clip_inputs_(
    model: nn.Module, layers: Sequence[str], bits: int, data: Data, *, unit: bool
) -> None:
    """quantize_k(clip(a, 0, reach)), but for the layer that reads the image."""
    image = image_layer(model, layers, data.images)
    rest = [path for path in layers if path != image]
    for path, seen in observe(model, rest, data.images, method=METHOD).items():
        quantiser = Uniform(Settings(bits=bits))
        reach = 1.0 if unit else ends(seen, "percentile", percentile=REACH, bits=bits)[1]
        quantiser.cover_(0.0, max(reach, 0.0))
        quantise_input_(model.get_submodule(path), quantiser)
