"""Training with a penalty on the weights: L1 and L0, whose proximal steps make zeros, or L2.

Soft thresholding: Donoho, IEEE Transactions on Information Theory 41(3), 1995; hard thresholding:
Blumensath and Davies, Journal of Fourier Analysis and Applications 14, 2008.
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
from compressors.pruning.targets import targets
from compressors.training.free import free_
from compressors.training.proximal import PROX, Norm, Penalty, train_

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """`train` with `strength` times the `norm` of the weights, then cut, then `fit` without it.

    What the penalty made zero stays so; with `sparsity`, the smallest weights that are left go too
    until that share is zero, which L2 needs to have any.
    """

    norm: Norm = "l1"
    strength: float = Field(default=1e-3, ge=0, allow_inf_nan=False)
    sparsity: Sparsity = 0.0
    allocation: Allocation = "global"
    train: Fit = Fit(epochs=3.0, learning_rate=0.05, weight_decay=0.0)
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks in front of its weights."""
    assert data is not None
    for path in layers:
        free_(model.get_submodule(path))
    found, prox = targets(model, layers), PROX[config.norm]
    penalties = [Penalty(target, prox, config.strength) for target in found]
    train_(model, data, config.train, penalties)
    for target in found:
        target.cut_(target.value != 0)
    pruner = Pruner(allocation=config.allocation, repair=Retrain(fit=config.fit))
    pruner.prune_(model, layers, config.sparsity, data)
    return model
