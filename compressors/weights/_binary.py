"""Signs as weights, times a constant for the layer, and what every method that makes them needs."""

from collections.abc import Sequence
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

from compressors._fit import Hook
from compressors._layers import weight_of
from compressors.codes._level_sets import Integers, Signs
from compressors.codes.levels import Levels
from compressors.weights._form import latent_of, set_form_
from compressors.weights.rounded import Rounded

Magnitude = Literal["one", "glorot"]


def magnitude(weight: Tensor, rule: Magnitude) -> float:
    """H: one, or sqrt(1.5 / (ins + outs)) as in Glorot and Bengio, AISTATS 2010.

    A network whose layers are all followed by batch normalisation computes the same with either.
    """
    if rule == "one":
        return 1.0
    taps = prod(weight.shape[2:])
    return float((1.5 / ((weight.shape[0] + weight.shape[1]) * taps)) ** 0.5)


def binarise_(
    layer: nn.Module, rule: Magnitude, *, stochastic: bool = False, zero: bool = False
) -> None:
    """Give a layer weights -H and H, or -H, 0 and H; latents begin as its weights, clipped."""
    weight = weight_of(layer).detach()
    levels = Integers(low=-1, high=1) if zero else Signs()
    height = magnitude(weight, rule)
    scale = torch.full([1] * weight.ndim, height)
    code = Levels(levels.nearest(weight / scale), levels, scale)
    clipped = weight.clamp(-height, height)
    set_form_(layer, Rounded(code, stochastic=stochastic))
    with torch.no_grad():
        latent_of(layer).copy_(clipped)


def clipping(model: nn.Module, layers: Sequence[str], rule: Magnitude) -> Hook:
    """After a step, brings the latents of the layers back into [-H, H]."""
    heights = {path: magnitude(weight_of(model.get_submodule(path)), rule) for path in layers}

    def clip(_: int) -> None:
        with torch.no_grad():
            for path, height in heights.items():
                latent_of(model.get_submodule(path)).clamp_(-height, height)

    return clip
