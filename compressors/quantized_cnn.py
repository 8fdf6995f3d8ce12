"""Quantized CNN: product codes that machines look up, corrected for what layers answer.

Wu, Leng, Wang, Hu and Cheng, "Quantized Convolutional Neural Networks for Mobile Devices", CVPR
2016 (arXiv:1512.06473). Layer by layer; each sees what the layers before it, already quantised,
give. The published settings run from 4 channels and 128 rows in convolutions and 3 and 32 in linear
layers. No labels and no training.
"""

import copy
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._layers import CONVOLUTIONS, WEIGHTED, weight_of
from compressors._masks import refuse_masks
from compressors.codes.product import Product
from compressors.projectors.product import ProductKMeans
from compressors.training.response import corrected, response
from compressors.weights._form import set_form_
from compressors.weights.product import ProductTable

NEEDS, TAKES = Needs.IMAGES, WEIGHTED
Length = Annotated[int, Field(ge=1)]
Bits = Annotated[int, Field(ge=1, le=10)]


class Config(hwsim.config.Config):
    """Input channels of a run and bits of an index by kind of layer; rounds of correction (0 is
    none) on so many images; where k-means starts.
    """

    convolution_length: Length = 4
    convolution_bits: Bits = 7
    linear_length: Length = 3
    linear_bits: Bits = 5
    rounds: Annotated[int, Field(ge=0)] = 2
    images: Annotated[int, Field(ge=1)] = 256
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers product quantised, to be executed by tables."""
    refuse_masks(model, layers, method="quantized_cnn")
    assert data is not None
    original, images = copy.deepcopy(model), data.first(config.images).images
    for path in layers:
        layer = model.get_submodule(path)
        code = projector(layer, config).project(weight_of(layer).detach())
        code = Product(
            code.indices, code.table, channels=code.shape[1], length=code.length, by_tables=True
        )
        if config.rounds:
            ifmaps, _ = seen(model, path, images)
            _, ofmaps = seen(original, path, images)
            code = corrected(code, response(layer, ifmaps, ofmaps), rounds=config.rounds)
        set_form_(layer, ProductTable(code))
    return model


def projector(layer: nn.Module, config: Config) -> ProductKMeans:
    """The product code for a kind of layer, before its correction."""
    if isinstance(layer, CONVOLUTIONS):
        length, bits = config.convolution_length, config.convolution_bits
    else:
        length, bits = config.linear_length, config.linear_bits
    return ProductKMeans(length=length, bits=bits, seed=config.seed)


def seen(model: nn.Module, path: str, images: Tensor) -> tuple[Tensor, Tensor]:
    """What goes into a layer and what comes out, for these images."""
    found: list[tuple[Tensor, Tensor]] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append((inputs[0], output))

    handle = model.get_submodule(path).register_forward_hook(note)
    with torch.no_grad():
        model(images)
    handle.remove()
    return found[0]
