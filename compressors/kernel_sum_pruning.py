"""Kernel pruning: whole R x S kernels of least sum of magnitudes; channels connect sparsely.

Anwar and Sung, "Coarse Pruning of Convolutional Neural Networks with Random Masks", ICLR 2017
submission; the criterion is that of Mao et al., arXiv:1705.08922, at two dimensions.
"""

from collections.abc import Sequence

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import CONVOLUTIONS
from compressors.pruning.allocation import Allocation, Sparsity
from compressors.pruning.granularity import Granularity
from compressors.pruning.pruner import Pruner
from compressors.pruning.repair import Retrain
from compressors.pruning.schedule import Rounds

NEEDS, TAKES = Needs.LABELS, CONVOLUTIONS


class Config(hwsim.config.Config):
    """`sparsity` of the kernels go in `rounds`, after each of which `fit` retrains."""

    sparsity: Sparsity = 0.5
    allocation: Allocation = "layer"
    rounds: int = Field(default=3, ge=1, le=100)
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks; a table of connections, a bit a kernel, goes with each layer."""
    assert data is not None
    Pruner(
        granularity=Granularity(unit="kernel"),
        allocation=config.allocation,
        schedule=Rounds(rounds=config.rounds),
        repair=Retrain(fit=config.fit),
    ).prune_(model, layers, config.sparsity, data)
    return model
