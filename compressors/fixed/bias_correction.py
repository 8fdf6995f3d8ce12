"""Takes out of the bias what rounding the weights adds to the mean output.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
arXiv:1906.04721, section 4.2, with the mean ifmap measured on calibration images.
"""

import copy
import math

import torch
from torch import Tensor, nn

from compressors.fixed.grid import quantised_codes
from compressors.fixed.layers import Formats, Weighted


def with_corrected_bias(layer: Weighted, formats: Formats, ifmap_means: Tensor) -> Weighted:
    """A copy of `layer` whose bias makes up for the rounded weights; `ifmap_means` is GC float64.

    The means are over images and positions, so the correction is exact but for zero padding.
    """
    shift = mean_shift(layer, formats, ifmap_means)
    bias = -shift if layer.bias is None else layer.bias.detach().double() - shift
    corrected = copy.deepcopy(layer)
    corrected.bias = nn.Parameter(bias.float())
    return corrected


def mean_shift(layer: Weighted, formats: Formats, ifmap_means: Tensor) -> Tensor:
    """What rounding the weights adds to each output channel on average, GK float64."""
    weight = layer.weight.detach().double()
    codes = quantised_codes(weight, fl=formats.weight_fl, bits=formats.weight_bits)
    error = codes * math.ldexp(1.0, -formats.weight_fl) - weight
    groups = 1 if isinstance(layer, nn.Linear) else layer.groups
    by_channel = error.reshape(groups, len(weight) // groups, weight.shape[1], -1).sum(-1)
    return torch.einsum("gkc,gc->gk", by_channel, ifmap_means.reshape(groups, -1)).flatten()
