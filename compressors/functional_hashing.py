"""Functional hashing: several hashes fetch values of which a small network makes each weight.

Shi, Feng and Zhu, "Functional Hashing for Compressing Neural Networks", arXiv:1605.06560.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED, weight_of
from compressors._masks import refuse_masks
from compressors.codes.hashed import sizes
from compressors.training.restart import restart_norms_
from compressors.training.tuning import tune
from compressors.weights._form import set_form_
from compressors.weights.hashed import HashedTable

NEEDS, TAKES = Needs.LABELS, WEIGHTED
Positive = Annotated[int, Field(ge=1)]


class Config(hwsim.config.Config):
    """Stored numbers as a share of a layer's weights, the network's own among them; how many
    hashes (u), the layers hidden in the network, the hashes' seed, and the training.

    One hash and no hidden layer is HashedNets.
    """

    share: Annotated[float, Field(gt=0, le=1)] = 1 / 8
    fetches: Annotated[int, Field(ge=1, le=16)] = 4
    hidden: tuple[Positive, ...] = (8,)
    seed: Annotated[int, Field(ge=0, lt=2**16)] = 0
    fit: Fit = Fit(epochs=5.0, learning_rate=0.1)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers hashed, the network trained, and the small ones with it; batch normalisations
    right behind the layers start anew.
    """
    refuse_masks(model, layers, method="functional_hashing")
    if config.fit.epochs:
        restart_norms_(model, layers)
    alone = config.fetches == 1 and not config.hidden
    own = 0 if alone else sum(o * (i + 1) for i, o in sizes(config.fetches, config.hidden))
    for path in layers:
        layer = model.get_submodule(path)
        shape = tuple(weight_of(layer).shape)
        count = max(1, round(config.share * weight_of(layer).numel()) - own)
        form = HashedTable(
            shape, count, seed=config.seed, fetches=config.fetches, hidden=config.hidden
        )
        set_form_(layer, form)
    return tune(model, data, config.fit)
