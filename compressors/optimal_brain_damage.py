"""Optimal Brain Damage: remove the weights whose loss the curvature of the error says is least.

LeCun, Denker and Solla, "Optimal Brain Damage", NIPS 1989.
"""

from collections.abc import Sequence

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors.pruning.allocation import Allocation, Sparsity
from compressors.pruning.pruner import Pruner
from compressors.pruning.repair import Retrain
from compressors.pruning.schedule import Rounds
from compressors.pruning.second_order import DiagonalHessian

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """`sparsity` of the weights go in `rounds`, after each of which `fit` retrains.

    The Hessian is that of the first `images`. Saliencies are in units of the error, so that those
    of all layers compare: "global".
    """

    sparsity: Sparsity = 0.75
    allocation: Allocation = "global"
    rounds: int = Field(default=3, ge=1, le=100)
    images: int = Field(default=256, ge=1)
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks in front of its weights."""
    assert data is not None
    Pruner(
        criterion=DiagonalHessian(images=config.images),
        allocation=config.allocation,
        schedule=Rounds(rounds=config.rounds),
        repair=Retrain(fit=config.fit),
    ).prune_(model, layers, config.sparsity, data)
    return model
