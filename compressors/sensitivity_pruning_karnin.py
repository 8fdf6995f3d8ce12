"""Pruning by the sensitivity that training itself reveals: gradient times change, summed up.

Karnin, "A Simple Procedure for Pruning Back-Propagation Trained Neural Networks", IEEE Transactions
on Neural Networks 1(2), 1990.
"""

from collections.abc import Sequence

import torch
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED
from compressors.pruning.allocation import Allocation, Sparsity
from compressors.pruning.pruner import Pruner
from compressors.pruning.repair import Retrain
from compressors.pruning.targets import targets
from compressors.pruning.trace import Trace
from compressors.training.free import free_

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """`trace` trains and gathers sensitivities; `sparsity` of the weights go; `fit` retrains.

    Karnin traces the whole training: `restart` begins again from random weights. Without it, the
    training goes on from those given, which must move far enough to tell.
    """

    sparsity: Sparsity = 0.5
    allocation: Allocation = "global"
    restart: bool = False
    trace: Fit = Fit(epochs=3.0, learning_rate=0.05)
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks in front of its weights."""
    assert data is not None
    assert data.labels is not None
    for path in layers:
        free_(model.get_submodule(path))
    if config.restart:
        restart_(model, seed=config.trace.seed)
    trace = Trace(targets(model, layers))
    fit(
        model,
        data.images,
        data.labels,
        config.trace,
        before_step=trace.before_step,
        after_step=trace.after_step,
    )
    repair = Retrain(fit=config.fit)
    pruner = Pruner(criterion=trace, allocation=config.allocation, repair=repair)
    pruner.prune_(model, layers, config.sparsity, data)
    return model


def restart_(model: nn.Module, *, seed: int) -> None:
    """Every parameter as modules draw them when they are made."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for part in model.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
