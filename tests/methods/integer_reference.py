"""Layers in plain int64 arithmetic, for holding float carriers to."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor, nn

from compressors.activations._quantiser import ActivationQuantiser, input_quantiser
from compressors.activations.uniform import Uniform
from compressors.codes.levels import Levels
from compressors.weights._form import code_of

Integers = NDArray[np.int64]


def quantiser_of(layer: nn.Module) -> ActivationQuantiser:
    """The layer's quantiser, which must be there."""
    found = input_quantiser(layer)
    assert found is not None
    return found


def weight_integers(layer: nn.Module) -> Integers:
    """The layer's weights in units of their scales."""
    code = code_of(layer)
    assert isinstance(code, Levels)
    numbers = code.levels.values[code.indices]
    integers = numbers.long()
    assert (integers == numbers).all()
    found: Integers = integers.numpy()
    return found


def ifmap_integers(layer: nn.Module, ifmap: Tensor) -> Integers:
    """The layer's ifmap in steps of its quantiser, the zero point taken off."""
    quantiser = quantiser_of(layer)
    assert isinstance(quantiser, Uniform)
    found: Integers = (quantiser.codes(ifmap) - quantiser.zero.long()).numpy()
    return found


def sums(layer: nn.Module, ifmap: Integers, weight: Integers) -> Integers:
    """The sums of products of a convolution, N C H W, or of a linear layer, N C; no bias."""
    if isinstance(layer, nn.Linear):
        return ifmap @ weight.T
    assert isinstance(layer, nn.Conv2d)
    groups, (stride_h, stride_w) = layer.groups, layer.stride
    pad_h, pad_w = (int(edge) for edge in layer.padding)
    padded = np.pad(ifmap, ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w)))
    windows = sliding_window_view(padded, weight.shape[2:], (2, 3))[:, :, ::stride_h, ::stride_w]
    n, _, p, q, r, s = windows.shape
    grouped = windows.reshape(n, groups, -1, p, q, r, s)
    filters = weight.reshape(groups, -1, *weight.shape[1:])
    found: Integers = np.einsum("ngcpqrs,gkcrs->ngkpq", grouped, filters).reshape(n, -1, p, q)
    return found
