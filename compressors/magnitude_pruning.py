"""Magnitude pruning: remove the smallest weights, retrain the others, and so on in rounds.

Han, Pool, Tran and Dally, "Learning both Weights and Connections for Efficient Neural Networks",
NIPS 2015, arXiv:1506.02626.
"""

from collections.abc import Sequence

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import LINEAR, WEIGHTED
from compressors.pruning.allocation import Allocation, Sparsity
from compressors.pruning.pruner import Pruner
from compressors.pruning.repair import Retrain, frozen
from compressors.pruning.schedule import Rounds

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """`sparsity` of the weights go in `rounds`, after each of which `fit` retrains.

    Han's threshold is a quality parameter times the standard deviation of a layer's weights, the
    parameter chosen layer by layer from its sensitivity. One parameter for all is "std", which
    takes the same share of every layer; one threshold for all, "global", spares small first layers
    as the paper's own choices do. With `apart`, convolutions and linear layers are pruned and
    retrained in turn, the others held fast, as in Sec. 3.3; `scale_dropout` lowers the rate of
    dropout behind a layer as it grows sparse (Sec. 3.2).
    """

    sparsity: Sparsity = 0.8
    allocation: Allocation = "global"
    rounds: int = Field(default=3, ge=1, le=100)
    apart: bool = False
    scale_dropout: bool = True
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks in front of its weights."""
    assert data is not None
    pruner = Pruner(
        allocation=config.allocation,
        schedule=Rounds(rounds=config.rounds),
        repair=Retrain(fit=config.fit, scale_dropout=config.scale_dropout),
    )
    for group in parts(model, layers) if config.apart else [layers]:
        with frozen(model, set(layers) - set(group)):
            pruner.prune_(model, group, config.sparsity, data)
    return model


def parts(model: nn.Module, layers: Sequence[str]) -> list[list[str]]:
    """The convolutions and the linear layers among these, as far as there are any."""
    linear = [path for path in layers if isinstance(model.get_submodule(path), LINEAR)]
    return [group for group in ([p for p in layers if p not in linear], linear) if group]
