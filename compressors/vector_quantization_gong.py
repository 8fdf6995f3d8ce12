"""Linear layers by vector quantisation, without training.

Gong, Liu, Yang and Bourdev, "Compressing Deep Convolutional Networks using Vector Quantization",
arXiv:1412.6115, Sec. 3: signs, scalar k-means, product quantisation, which they found best, and
residual quantisation, whose every step clusters what the steps before left.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._layers import LINEAR, weight_of
from compressors._masks import refuse_masks
from compressors.codes._code import Code
from compressors.codes.product import Product
from compressors.codes.sums import Sums
from compressors.projectors.kmeans import KMeans
from compressors.projectors.product import ProductKMeans
from compressors.projectors.signs import Signs
from compressors.weights._form import set_form_
from compressors.weights.held import Held

NEEDS, TAKES = Needs.NOTHING, LINEAR


class Config(hwsim.config.Config):
    """Which of the four; input channels of a run, bits of an index, and steps, where it has them.

    The paper's signs have no scale.
    """

    quantiser: Literal["binary", "kmeans", "product", "residual"] = "product"
    length: Annotated[int, Field(ge=1)] = 4
    bits: Annotated[int, Field(ge=1, le=12)] = 6
    steps: Annotated[int, Field(ge=1, le=8)] = 2
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The linear layers quantised; a mask can stay under k-means only."""
    if config.quantiser != "kmeans":
        refuse_masks(model, layers, method="vector_quantization_gong")
    for path in layers:
        layer = model.get_submodule(path)
        set_form_(layer, Held(quantised(weight_of(layer).detach(), config)))
    return model


def quantised(weight: Tensor, config: Config) -> Code:
    """A weight [K, C] as the code that the settings choose."""
    vectors = ProductKMeans(length=config.length, bits=config.bits, seed=config.seed)
    quantisers: dict[str, Callable[[Tensor], Code]] = {
        "binary": Signs(scaled=False).project,
        "kmeans": KMeans(bits=config.bits).project,
        "product": vectors.project,
        "residual": lambda weight: residual(weight, vectors, steps=config.steps),
    }
    return quantisers[config.quantiser](weight)


def residual(weight: Tensor, projector: ProductKMeans, *, steps: int) -> Sums:
    """Product codes of the weight, of what the first leaves, and so on."""
    rest, codes = weight, list[Product]()
    for _ in range(steps):
        codes.append(projector.project(rest))
        rest = rest - codes[-1].decode()
    return Sums(tuple(codes))
