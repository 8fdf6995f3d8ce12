"""Compression on the fly: training pulls weights to two values, which then are all they have.

Soulie, Gripon and Robert, "Compression of Deep Neural Networks on the Fly", ICANN 2016
(arXiv:1509.08745): a penalty on the distance of weights to their binary values, whose weight grows
while training; the output layer is product quantised. Here the two values of a layer are plus and
minus its mean magnitude, in place of -1 and 1, which suits networks that are trained already.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, settle_batch_norms
from compressors._layers import WEIGHTED, weight_of
from compressors._masks import refuse_masks
from compressors.projectors.product import ProductKMeans
from compressors.projectors.signs import Signs
from compressors.training.tuning import tune
from compressors.weights._form import set_form_
from compressors.weights.free import Free
from compressors.weights.product import ProductTable
from compressors.weights.straight_through import StraightThrough

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """The penalty's final weight, the product code of the last of the layers, and the training."""

    pull: Annotated[float, Field(ge=0)] = 0.1
    product: ProductKMeans | None = ProductKMeans(length=2, bits=4)
    fit: Fit = Fit(epochs=6.0, learning_rate=0.02)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers trained, then binary; the last of them product quantised, if there are more."""
    refuse_masks(model, layers, method="on_the_fly_compression")
    for path in layers:
        set_form_(model.get_submodule(path), Free())
    coded = layers[-1:] if config.product and len(layers) > 1 else []
    binary = [model.get_submodule(path) for path in layers if path not in coded]
    assert data is not None
    steps, done = config.fit.steps(len(data.images)), 0

    def count(step: int) -> None:
        nonlocal done
        done = step + 1

    def pull() -> Tensor:
        return config.pull * done / max(1, steps) * distance([weight_of(one) for one in binary])

    tune(model, data, config.fit, penalty=pull, after_step=count)
    for layer in binary:
        set_form_(layer, StraightThrough(Signs(scope="layer")))
    for path in coded:
        layer = model.get_submodule(path)
        assert config.product is not None
        set_form_(layer, ProductTable(config.product.project(weight_of(layer).detach())))
    settle_batch_norms(model, data.images, batch=config.fit.batch)
    return model


def distance(weights: Sequence[Tensor]) -> Tensor:
    """The sum over all weights of | |w| - mean |w| |."""
    gaps = [(weight.abs() - weight.detach().abs().mean()).abs().sum() for weight in weights]
    return torch.stack(gaps).sum()
