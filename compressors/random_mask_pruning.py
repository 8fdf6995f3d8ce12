"""Coarse pruning by random masks: the best of N, by the errors each makes, is taken.

Anwar and Sung, "Coarse Pruning of Convolutional Neural Networks with Random Masks", ICLR 2017
submission. Feature maps and kernels combine as two steps of a plan.
"""

import copy
from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import CONVOLUTIONS
from compressors.pruning.allocation import Sparsity
from compressors.pruning.criteria import Random
from compressors.pruning.granularity import Granularity
from compressors.pruning.judge import held_out, misclassified
from compressors.pruning.pruner import Pruner
from compressors.pruning.repair import Retrain

NEEDS, TAKES = Needs.LABELS, CONVOLUTIONS


class Config(hwsim.config.Config):
    """`sparsity` of each layer's feature maps ("filter") or kernels go; `draws` masks are tried.

    They are judged on at most `images` that are held out of the training by `fit` that follows.
    """

    sparsity: Sparsity = 0.4
    unit: Literal["filter", "kernel"] = "kernel"
    draws: int = Field(default=100, ge=1)
    images: int = Field(default=1000, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**16)
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with the mask of least errors, retrained."""
    assert data is not None
    training, judging = held_out(data, config.images, seed=config.seed)
    best, least = model, float("inf")
    for draw in range(config.draws):
        tried = copy.deepcopy(model)
        _pruner(config, draw).cut_(tried, layers, config.sparsity, None)
        errors = misclassified(tried, judging)
        if errors < least:
            best, least = tried, errors
    Retrain(fit=config.fit).mend_(best, training, None)
    return best


def _pruner(config: Config, draw: int) -> Pruner:
    criterion = Random(seed=config.seed * 2**16 + draw % 2**16)
    return Pruner(granularity=Granularity(unit=config.unit), criterion=criterion)
