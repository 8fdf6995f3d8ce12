"""HashedNets: weights that a hash finds in a small table, without stored places.

Chen, Wilson, Tyree, Weinberger and Chen, "Compressing Neural Networks with the Hashing Trick",
ICML 2015 (arXiv:1504.04788).
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
from compressors.training.restart import restart_norms_
from compressors.training.tuning import tune
from compressors.weights._form import set_form_
from compressors.weights.hashed import HashedTable

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """Stored values as a share of a layer's weights, the hash's seed, and the training."""

    share: Annotated[float, Field(gt=0, le=1)] = 1 / 8
    seed: Annotated[int, Field(ge=0, lt=2**16)] = 0
    fit: Fit = Fit(epochs=5.0, learning_rate=0.05)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers hashed, the network trained, from nothing as in the paper: batch normalisations
    right behind the layers start anew, too.
    """
    refuse_masks(model, layers, method="hashednets")
    if config.fit.epochs:
        restart_norms_(model, layers)
    for path in layers:
        layer = model.get_submodule(path)
        shape = tuple(weight_of(layer).shape)
        count = max(1, round(config.share * weight_of(layer).numel()))
        set_form_(layer, HashedTable(shape, count, seed=config.seed))
    return tune(model, data, config.fit)
