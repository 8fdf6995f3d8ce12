"""Magnitude pruning of the gate matrices of LSTMs, in rounds of retraining.

Tang and Han, "Pruning Deep Neural Networks for Image Captioning", Stanford CS224n report, 2015,
after Han et al., NIPS 2015, arXiv:1506.02626.
"""

from collections.abc import Sequence

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import LINEAR, RECURRENT
from compressors.pruning.allocation import Allocation, Sparsity
from compressors.pruning.pruner import Pruner
from compressors.pruning.repair import Retrain
from compressors.pruning.schedule import Rounds

NEEDS, TAKES = Needs.LABELS, (*RECURRENT, *LINEAR)


class Config(hwsim.config.Config):
    """`sparsity` of the weights go in `rounds`, after each of which `fit` retrains.

    Linear layers are pruned with the LSTM's input and recurrent matrices; each matrix, which has
    the four gates, is one tensor to the allocation.
    """

    sparsity: Sparsity = 0.9
    allocation: Allocation = "layer"
    rounds: int = Field(default=3, ge=1, le=100)
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks in front of its weights."""
    assert data is not None
    Pruner(
        allocation=config.allocation,
        schedule=Rounds(rounds=config.rounds),
        repair=Retrain(fit=config.fit),
    ).prune_(model, layers, config.sparsity, data)
    return model
